//! The outcome that a waiting request is owed: one state per request, however
//! many records the request has.
//!
//! The delivery holds the records' side as [`Completion`]s. One that is dropped
//! without an outcome counts as unknown, so that a forgotten acknowledgement
//! can never look like a delivered one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::outcome::Outcome;
use crate::producer::Producer;
use sluice_types::rejection::{REASONS_MAX, Rejection};
use sluice_types::trace::TraceContext;

#[derive(Debug)]
struct State {
    /// Records without an outcome.
    open: usize,
    epoch: u64,
    /// Without reasons.
    rejected: Vec<Rejection>,
    /// By index, those of the first rejections.
    reasons: BTreeMap<usize, String>,
    acknowledged: usize,
    not_delivered: Option<&'static str>,
    unknown: Option<String>,
    /// What kept the records from being confirmed most recently.
    last_error: Option<Arc<str>>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Request {
    state: Mutex<State>,
    /// The producer no longer waits.
    is_abandoned: AtomicBool,
    /// The producer has gone, and somebody else waits for the outcome.
    has_gone: AtomicBool,
    producer: Producer,
    /// The span of the request, if this node makes spans.
    trace: Option<TraceContext>,
}

impl Request {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the outcome of `records` records, and wakes the waiter if no
    /// others are open.
    fn settle(&self, records: usize, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.lock();
            change(&mut state);
            state.open = state.open.saturating_sub(records);
            if state.open == 0 {
                state.waker.take()
            } else {
                None
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The duty to report the outcome of some records of a request.
#[derive(Debug)]
#[must_use = "a completion that is dropped counts as unknown"]
pub(crate) struct Completion {
    request: Arc<Request>,
    /// Indices in the request.
    records: Range<usize>,
}

impl Completion {
    /// Both sides of a request with this many records.
    pub(crate) fn of_request(records: usize, epoch: u64, producer: Producer) -> (Self, Waiter) {
        Self::of_traced(records, epoch, producer, None)
    }

    /// The same for a request that has a span.
    pub(crate) fn of_traced(
        records: usize,
        epoch: u64,
        producer: Producer,
        trace: Option<TraceContext>,
    ) -> (Self, Waiter) {
        let state = State {
            open: records,
            epoch,
            rejected: Vec::new(),
            reasons: BTreeMap::new(),
            acknowledged: 0,
            not_delivered: None,
            unknown: None,
            last_error: None,
            waker: None,
        };
        let request = Arc::new(Request {
            state: Mutex::new(state),
            is_abandoned: AtomicBool::new(false),
            has_gone: AtomicBool::new(false),
            producer,
            trace,
        });
        let completion = Self {
            request: Arc::clone(&request),
            records: 0..records,
        };
        (completion, Waiter(request))
    }

    /// The number of records that it covers.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The span of the request.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.request.trace.as_ref()
    }

    /// Whether the producer has stopped waiting.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.request.is_abandoned.load(Ordering::Relaxed)
    }

    /// Whether the producer was told already that the records are safe.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.request.producer == Producer::WasAcknowledged
    }

    /// Whether nobody learns which of the records are refused.
    pub(crate) fn tells_nobody(&self) -> bool {
        let has_gone = self.request.has_gone.load(Ordering::Relaxed);
        has_gone || self.is_abandoned() || self.request.producer != Producer::IsTold
    }

    /// Whether no part of the request was split off yet.
    pub(crate) const fn is_whole(&self) -> bool {
        self.records.start == 0
    }

    /// Splits off the first `count` records.
    pub(crate) fn split_off_front(&mut self, count: usize) -> Self {
        let middle = (self.records.start + count).min(self.records.end);
        let front = self.records.start..middle;
        self.records.start = middle;
        Self {
            request: Arc::clone(&self.request),
            records: front,
        }
    }

    /// Remembers what keeps the records from being confirmed for now. The
    /// producer is told if it gives up.
    pub(crate) fn set_last_error(&self, error: &Arc<str>) {
        self.request.lock().last_error = Some(Arc::clone(error));
    }

    /// The records are safe.
    pub(crate) fn acknowledge(mut self) {
        let count = self.take();
        self.request
            .settle(count, |state| state.acknowledged += count);
    }

    /// The sink will never accept the records; `is_kept` if they are dead
    /// letters now.
    pub(crate) fn reject(mut self, reason: &str, is_kept: bool) {
        let records = self.records.clone();
        let count = self.take();
        self.request.settle(count, |state| {
            for index in records {
                state.reject(index, reason, is_kept);
            }
        });
    }

    /// The records were never offered to the sink.
    pub(crate) fn not_delivered(mut self, reason: &'static str) {
        let count = self.take();
        self.request
            .settle(count, |state| state.not_delivered = Some(reason));
    }

    /// The records were offered and not confirmed.
    pub(crate) fn unknown(mut self, reason: &str) {
        let count = self.take();
        self.request
            .settle(count, |state| state.unknown = Some(reason.to_owned()));
    }

    /// Empties the range, so that dropping this reports nothing more.
    fn take(&mut self) -> usize {
        let count = self.records.len();
        self.records.start = self.records.end;
        count
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let count = self.take();
        if count > 0 {
            self.request.settle(count, |state| {
                state.unknown = Some("the delivery ended before the sink confirmed it".to_owned());
            });
        }
    }
}

/// The request's side: gives the outcome once no record is open.
#[derive(Debug)]
pub(crate) struct Waiter(Arc<Request>);

impl Waiter {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.lock();
        if state.open > 0 {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        Poll::Ready(state.take_outcome())
    }

    /// Says that nobody waits for the outcome any more.
    pub(crate) fn abandon(&self) {
        self.0.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Says that the producer has gone and learns nothing, but that the outcome is
    /// waited for.
    pub(crate) fn tell_nobody(&self) {
        self.0.has_gone.store(true, Ordering::Relaxed);
    }

    /// What kept the records from being confirmed most recently.
    pub(crate) fn take_last_error(&self) -> Option<Arc<str>> {
        self.0.lock().last_error.take()
    }
}

impl State {
    fn reject(&mut self, index: usize, reason: &str, is_kept: bool) {
        self.rejected.push(Rejection {
            index,
            reason: String::new(),
            is_kept,
        });
        // They come in any order: dead letters are reported later.
        let last = self.reasons.last_key_value().map(|(last, _)| *last);
        let is_full = self.reasons.len() >= REASONS_MAX;
        if is_full && last.is_some_and(|last| last < index) {
            return;
        }
        self.reasons.insert(index, reason.to_owned());
        if is_full {
            self.reasons.pop_last();
        }
    }

    /// The outcome of the whole request. The least certain one counts.
    fn take_outcome(&mut self) -> Outcome {
        let mut rejected = std::mem::take(&mut self.rejected);
        rejected.sort_by_key(|rejection| rejection.index);
        let reasons = std::mem::take(&mut self.reasons).into_values();
        for (rejection, reason) in rejected.iter_mut().zip(reasons) {
            rejection.reason = reason;
        }
        let is_any_settled = self.acknowledged > 0 || !rejected.is_empty();
        match (self.unknown.take(), self.not_delivered) {
            (Some(reason), _) => Outcome::Unknown(reason),
            (None, Some(reason)) if is_any_settled => Outcome::Unknown(format!(
                "only a part of the records was delivered: {reason}"
            )),
            (None, Some(reason)) => Outcome::NotDelivered(reason),
            (None, None) => Outcome::Acknowledged {
                epoch: self.epoch,
                rejected,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(waiter: &Waiter) -> Poll<Outcome> {
        waiter.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_request_is_acknowledged_when_its_last_record_is() {
        let (mut completion, waiter) = Completion::of_request(3, 7, Producer::IsTold);
        completion.split_off_front(1).acknowledge();
        assert_eq!(poll(&waiter), Poll::Pending);
        completion.acknowledge();
        let expected = Outcome::Acknowledged {
            epoch: 7,
            rejected: Vec::new(),
        };
        assert_eq!(poll(&waiter), Poll::Ready(expected));
    }

    #[test]
    fn a_dropped_completion_is_unknown() {
        let (mut completion, waiter) = Completion::of_request(2, 1, Producer::IsTold);
        completion.split_off_front(1).acknowledge();
        drop(completion);
        assert!(matches!(poll(&waiter), Poll::Ready(Outcome::Unknown(_))));
    }

    #[test]
    fn rejections_name_the_index_in_the_request() {
        let (mut completion, waiter) = Completion::of_request(4, 1, Producer::IsTold);
        completion.split_off_front(1).acknowledge();
        let front = completion.split_off_front(1);
        completion.split_off_front(1).reject("no", false);
        front.reject("never", false);
        completion.acknowledge();
        let Poll::Ready(Outcome::Acknowledged { rejected, .. }) = poll(&waiter) else {
            panic!("not acknowledged")
        };
        let rejected: Vec<_> = rejected
            .iter()
            .map(|r| (r.index, r.reason.as_str()))
            .collect();
        assert_eq!(rejected, [(1, "never"), (2, "no")]);
    }

    #[test]
    fn reasons_are_kept_of_the_first_rejections_in_whatever_order_they_come() {
        let (mut completion, waiter) = Completion::of_request(3 * REASONS_MAX, 1, Producer::IsTold);
        let mut parts: Vec<_> = (0..3 * REASONS_MAX)
            .map(|index| (index, completion.split_off_front(1)))
            .collect();
        parts.sort_by_key(|(index, _)| (index % 7, *index));
        for (index, part) in parts {
            part.reject(&index.to_string(), false);
        }
        let Poll::Ready(Outcome::Acknowledged { rejected, .. }) = poll(&waiter) else {
            panic!("not acknowledged")
        };
        for (index, rejection) in rejected.iter().enumerate() {
            assert_eq!(rejection.index, index);
            let reason = match index {
                ..REASONS_MAX => index.to_string(),
                _ => String::new(),
            };
            assert_eq!(rejection.reason, reason);
        }
    }

    #[test]
    fn a_part_that_was_never_offered_makes_the_whole_unknown() {
        let (mut completion, waiter) = Completion::of_request(2, 1, Producer::IsTold);
        completion.split_off_front(1).acknowledge();
        completion.not_delivered("stepped down");
        assert!(matches!(poll(&waiter), Poll::Ready(Outcome::Unknown(_))));

        let (completion, waiter) = Completion::of_request(2, 1, Producer::IsTold);
        completion.not_delivered("stepped down");
        assert_eq!(
            poll(&waiter),
            Poll::Ready(Outcome::NotDelivered("stepped down"))
        );
    }
}
