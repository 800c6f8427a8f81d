//! What a waiting request is owed: one slot a request, however many records.
//!
//! The dispatcher holds the records' side as [`Share`]s; one that is dropped
//! without a word counts as unknown, so that a forgotten acknowledgement can
//! never look like a delivered one.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One record of a request that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Why, in words for the producer.
    pub reason: String,
    /// Whether it is kept as a dead letter.
    pub is_kept: bool,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every record that is not rejected is safe, as decided under this epoch.
    Acknowledged {
        /// The leader's epoch.
        epoch: u64,
        /// In growing order of index.
        rejected: Vec<Rejection>,
    },
    /// No record was offered to the sink.
    NotDelivered(&'static str),
    /// Some record was offered and not confirmed.
    Unknown(String),
}

#[derive(Debug)]
struct State {
    /// Records without an outcome.
    open: usize,
    epoch: u64,
    rejected: Vec<Rejection>,
    acknowledged: usize,
    not_delivered: Option<&'static str>,
    unknown: Option<String>,
    /// What kept the records from being confirmed so far.
    trouble: Option<Arc<str>>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Slot {
    state: Mutex<State>,
    /// The producer no longer waits.
    abandoned: AtomicBool,
    /// The producer was told already that the records are safe.
    is_promised: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles `records` records and wakes the request when it was the last.
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

/// Makes the two sides of a request of so many records; `is_promised` if its
/// producer was told already that they are safe.
pub(super) fn slot(records: usize, epoch: u64, is_promised: bool) -> (Share, Waiting) {
    let state = State {
        open: records,
        epoch,
        rejected: Vec::new(),
        acknowledged: 0,
        not_delivered: None,
        unknown: None,
        trouble: None,
        waker: None,
    };
    let slot = Arc::new(Slot {
        state: Mutex::new(state),
        abandoned: AtomicBool::new(false),
        is_promised,
    });
    (
        Share {
            slot: Arc::clone(&slot),
            records: 0..records,
        },
        Waiting(slot),
    )
}

/// The duty to say what became of some records of a request.
#[derive(Debug)]
#[must_use = "a share that is dropped counts as unknown"]
pub(super) struct Share {
    slot: Arc<Slot>,
    /// Which of the request's records.
    records: Range<usize>,
}

impl Share {
    /// How many records it is about.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the producer has stopped waiting.
    pub(super) fn is_abandoned(&self) -> bool {
        self.slot.abandoned.load(Ordering::Relaxed)
    }

    /// Whether the producer was told already that the records are safe.
    pub(super) fn is_promised(&self) -> bool {
        self.slot.is_promised
    }

    /// Whether nothing of the request was split off yet.
    pub(super) const fn is_whole(&self) -> bool {
        self.records.start == 0
    }

    /// Splits off the first `count` records.
    pub(super) fn split_off_front(&mut self, count: usize) -> Self {
        let middle = (self.records.start + count).min(self.records.end);
        let front = self.records.start..middle;
        self.records.start = middle;
        Self {
            slot: Arc::clone(&self.slot),
            records: front,
        }
    }

    /// Says what keeps the records from being confirmed for now, for the case
    /// that nothing better can be said in the end.
    pub(super) fn trouble(&self, what: &Arc<str>) {
        self.slot.lock().trouble = Some(Arc::clone(what));
    }

    /// The records are safe.
    pub(super) fn acknowledge(mut self) {
        let count = self.take();
        self.slot.settle(count, |state| state.acknowledged += count);
    }

    /// The sink will never take them; `is_kept` if they are dead letters now.
    pub(super) fn reject(mut self, reason: &str, is_kept: bool) {
        let records = self.records.clone();
        let count = self.take();
        self.slot.settle(count, |state| {
            let rejections = records.map(|index| Rejection {
                index,
                reason: reason.to_owned(),
                is_kept,
            });
            state.rejected.extend(rejections);
        });
    }

    /// They were never offered.
    pub(super) fn not_delivered(mut self, reason: &'static str) {
        let count = self.take();
        self.slot
            .settle(count, |state| state.not_delivered = Some(reason));
    }

    /// They were offered and not confirmed.
    pub(super) fn unknown(mut self, reason: &str) {
        let count = self.take();
        self.slot
            .settle(count, |state| state.unknown = Some(reason.to_owned()));
    }

    fn take(&mut self) -> usize {
        let count = self.records.len();
        self.records.start = self.records.end;
        count
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let count = self.take();
        if count > 0 {
            self.slot.settle(count, |state| {
                state.unknown = Some("the delivery ended before the sink confirmed it".to_owned());
            });
        }
    }
}

/// The request's side of a slot.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Slot>);

impl Waiting {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.lock();
        if state.open > 0 {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let mut rejected = std::mem::take(&mut state.rejected);
        rejected.sort_by_key(|rejection| rejection.index);
        let settled = state.acknowledged > 0 || !rejected.is_empty();
        Poll::Ready(match (state.unknown.take(), state.not_delivered) {
            (Some(reason), _) => Outcome::Unknown(reason),
            (None, Some(reason)) if settled => Outcome::Unknown(format!(
                "only a part of the records was delivered: {reason}"
            )),
            (None, Some(reason)) => Outcome::NotDelivered(reason),
            (None, None) => Outcome::Acknowledged {
                epoch: state.epoch,
                rejected,
            },
        })
    }
}

/// Ends a request that does not want to wait any longer.
pub(super) trait Withdraw: Send + Sync {
    /// Takes the request's records back; true if none of them was taken yet.
    fn withdraw(&self, ticket: u64) -> bool;
}

/// A request's claim to an outcome. Dropping it withdraws what was not offered
/// yet.
pub struct Receipt {
    waiting: Waiting,
    ticket: u64,
    queue: Option<Arc<dyn Withdraw>>,
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

impl Receipt {
    pub(super) fn new(waiting: Waiting, ticket: u64, queue: Arc<dyn Withdraw>) -> Self {
        Self {
            waiting,
            ticket,
            queue: Some(queue),
        }
    }

    /// For records that nothing can be taken back of.
    pub(super) const fn without_return(waiting: Waiting) -> Self {
        Self {
            waiting,
            ticket: 0,
            queue: None,
        }
    }

    /// Stops waiting because the producer's time is over.
    #[must_use]
    pub fn give_up(mut self) -> Outcome {
        let is_sinks = self.queue.is_some();
        if self.withdraw() {
            Outcome::NotDelivered("the sink did not get to it in time")
        } else {
            let late = match is_sinks {
                true => "the sink did not confirm it in time",
                false => "this node did not come to acknowledge it in time",
            };
            let trouble = self.waiting.0.lock().trouble.take();
            Outcome::Unknown(match trouble {
                Some(trouble) => format!("{late} ({trouble})"),
                None => late.to_owned(),
            })
        }
    }

    fn withdraw(&mut self) -> bool {
        self.waiting.0.abandoned.store(true, Ordering::Relaxed);
        let Some(queue) = self.queue.take() else {
            return false;
        };
        queue.withdraw(self.ticket)
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let polled = self.waiting.poll(cx);
        if polled.is_ready() {
            self.queue = None;
        }
        polled
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(waiting: &Waiting) -> Poll<Outcome> {
        waiting.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_request_is_acknowledged_when_its_last_record_is() {
        let (mut share, waiting) = slot(3, 7, false);
        share.split_off_front(1).acknowledge();
        assert_eq!(poll(&waiting), Poll::Pending);
        share.acknowledge();
        let expected = Outcome::Acknowledged {
            epoch: 7,
            rejected: Vec::new(),
        };
        assert_eq!(poll(&waiting), Poll::Ready(expected));
    }

    #[test]
    fn a_dropped_share_is_unknown() {
        let (mut share, waiting) = slot(2, 1, false);
        share.split_off_front(1).acknowledge();
        drop(share);
        assert!(matches!(poll(&waiting), Poll::Ready(Outcome::Unknown(_))));
    }

    #[test]
    fn rejections_name_the_place_in_the_request() {
        let (mut share, waiting) = slot(4, 1, false);
        share.split_off_front(1).acknowledge();
        let front = share.split_off_front(1);
        share.split_off_front(1).reject("no", false);
        front.reject("never", false);
        share.acknowledge();
        let Poll::Ready(Outcome::Acknowledged { rejected, .. }) = poll(&waiting) else {
            panic!("not acknowledged")
        };
        let rejected: Vec<_> = rejected
            .iter()
            .map(|r| (r.index, r.reason.as_str()))
            .collect();
        assert_eq!(rejected, [(1, "never"), (2, "no")]);
    }

    #[test]
    fn a_part_that_was_never_offered_makes_the_whole_unknown() {
        let (mut share, waiting) = slot(2, 1, false);
        share.split_off_front(1).acknowledge();
        share.not_delivered("stepped down");
        assert!(matches!(poll(&waiting), Poll::Ready(Outcome::Unknown(_))));

        let (share, waiting) = slot(2, 1, false);
        share.not_delivered("stepped down");
        assert_eq!(
            poll(&waiting),
            Poll::Ready(Outcome::NotDelivered("stepped down"))
        );
    }
}
