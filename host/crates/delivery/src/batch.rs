//! Records that are offered to the sink together, with the completions of the
//! requests that they belong to.

use std::sync::Arc;

use crate::batch_span::{self, BatchSpan};
use crate::completion::Completion;
use crate::occupancy::Occupancy;
use sluice_types::outcome::{Failure, Refusal};
use sluice_types::record::LogRecord;
use sluice_types::records::Records;

/// Once a batch holds this many records, nothing more joins it. What is done
/// with this many on the way to the sink stays within a core's cache.
pub(crate) const BATCH_RECORDS: usize = 1024;
/// The size of a batch after which nothing more joins it.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// Records in the order in which they were accepted. Dropping a batch gives
/// back what it holds of the queue's limits.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Records,
    /// They cover the records in the same order, one run per request.
    pub(crate) completions: Vec<Completion>,
    /// The sum of the records' sizes.
    pub(crate) bytes: usize,
    /// How often the batch was offered to a sink.
    pub(crate) offers: u32,
    pub(crate) span: BatchSpan,
    occupancy: Arc<Occupancy>,
}

/// What is left of a batch after the sink accepted or refused single records.
pub(crate) struct Settled {
    /// To be offered again, and what the sink asked for.
    pub(crate) retry: Option<(Batch, Failure)>,
    /// Refused for good: one record each, with the sink's reason.
    pub(crate) refused: Vec<(Batch, String)>,
}

impl Batch {
    /// A batch without records, whose records will count in this occupancy.
    pub(crate) fn new(occupancy: Arc<Occupancy>) -> Self {
        Self {
            records: Records::default(),
            completions: Vec::new(),
            bytes: 0,
            offers: 0,
            span: BatchSpan::default(),
            occupancy,
        }
    }

    /// Remembers for every request what keeps it from being confirmed for now.
    pub(crate) fn set_last_error(&self, error: &str) {
        let error = error.into();
        for completion in &self.completions {
            completion.set_last_error(&error);
        }
    }

    /// Whether some of it is of a producer that does not learn which of its records
    /// are refused, or has stopped waiting.
    pub(crate) fn tells_nobody(&self) -> bool {
        self.completions.iter().any(Completion::tells_nobody)
    }

    /// Whether no producer waits for any of it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.completions.iter().all(Completion::is_abandoned)
    }

    /// Whether some producer was told already that its records are safe.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.completions.iter().any(Completion::is_acknowledged)
    }

    /// The records that are acknowledged with this confirmation: all but those
    /// whose producer was told already and those that the sink refused.
    /// `refused` is sorted by index.
    pub(crate) fn newly_acknowledged<'a>(
        &'a self,
        refused: &'a [Refusal],
    ) -> impl Iterator<Item = &'a LogRecord> {
        let mut refused = refused.iter().map(|refusal| refusal.index).peekable();
        let acknowledged = self.completions.iter().flat_map(|completion| {
            std::iter::repeat_n(completion.is_acknowledged(), completion.len())
        });
        let records = self.records.iter().zip(acknowledged).enumerate();
        records.filter_map(move |(index, (record, is_acknowledged))| {
            let is_refused = refused.next_if_eq(&index).is_some();
            (!is_acknowledged && !is_refused).then_some(record)
        })
    }

    /// All records are safe.
    pub(crate) fn acknowledge(mut self) {
        let count = self.records.len();
        self.span.count(batch_span::Settled::Accepted, count);
        self.completions.drain(..).for_each(Completion::acknowledge);
    }

    /// The sink will never accept any of it; `is_kept` if it is a dead letter
    /// now.
    pub(crate) fn reject(mut self, reason: &str, is_kept: bool) {
        let count = self.records.len();
        self.span.count(batch_span::Settled::Rejected, count);
        for completion in self.completions.drain(..) {
            completion.reject(reason, is_kept);
        }
    }

    /// No record was offered.
    pub(crate) fn not_delivered(mut self, reason: &'static str) {
        let count = self.records.len();
        self.span.count(batch_span::Settled::NotDelivered, count);
        for completion in self.completions.drain(..) {
            completion.not_delivered(reason);
        }
    }

    /// The records were offered and not confirmed.
    pub(crate) fn unknown(mut self, reason: &str) {
        for completion in self.completions.drain(..) {
            completion.unknown(reason);
        }
    }

    /// Separates the first `count` records from the rest. A request that has
    /// records in both parts waits for both.
    pub(crate) fn split(mut self, count: usize) -> (Self, Self) {
        let mut rest = self.empty();
        rest.records = self.records.split_off(count.min(self.records.len()));
        rest.bytes = rest.records.iter().map(LogRecord::size).sum();
        self.bytes -= rest.bytes;
        let mut runs = Runs::of(std::mem::take(&mut self.completions));
        runs.next_records(self.records.len(), |run| self.completions.push(run));
        runs.next_records(rest.records.len(), |run| rest.completions.push(run));
        (self, rest)
    }

    /// Whether more records may join it.
    pub(crate) fn has_room(&self) -> bool {
        self.records.len() < BATCH_RECORDS && self.bytes < BATCH_BYTES
    }

    /// Adds the records of another batch of the same queue at the end. If that has a
    /// span, it ends here.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.records.to_mut().append(other.records.to_mut());
        self.completions.append(&mut other.completions);
        self.bytes += std::mem::take(&mut other.bytes);
        self.offers = self.offers.max(other.offers);
    }

    /// Acknowledges every record but the refused ones, and returns those by
    /// what the sink said of each. `refusals` is sorted by index.
    pub(crate) fn settle(mut self, refusals: Vec<Refusal>) -> Settled {
        let mut retry = self.empty();
        let mut refused = Vec::new();
        let mut why_retry = None;
        let mut records = std::mem::take(&mut self.records).into_vec().into_iter();
        let mut runs = Runs::of(std::mem::take(&mut self.completions));
        let (mut at, mut moved) = (0, 0);
        for Refusal { index, failure } in refusals {
            runs.next_records(index - at, Completion::acknowledge);
            let record = records.nth(index - at).unwrap_or_default();
            at = index + 1;
            moved += 1;
            self.bytes -= record.size();
            match failure {
                Failure::Permanent(reason) => {
                    let mut one = self.empty();
                    one.push(record, &mut runs);
                    refused.push((one, reason));
                }
                failure => {
                    retry.push(record, &mut runs);
                    why_retry = graver(why_retry, failure);
                }
            }
        }
        runs.next_records(usize::MAX, Completion::acknowledge);
        let confirmed = at + records.len() - moved;
        self.span.count(batch_span::Settled::Accepted, confirmed);
        // The records that moved to other batches are given back by those.
        self.occupancy
            .release(confirmed, std::mem::take(&mut self.bytes));
        Settled {
            retry: why_retry.map(|failure| (retry, failure)),
            refused,
        }
    }

    /// A batch without records that was offered as often.
    fn empty(&self) -> Self {
        let mut empty = Self::new(Arc::clone(&self.occupancy));
        empty.offers = self.offers;
        empty.span = self.span.clone();
        empty
    }

    fn push(&mut self, record: LogRecord, runs: &mut Runs) {
        self.bytes += record.size();
        self.records.to_mut().push(record);
        runs.next_records(1, |run| self.completions.push(run));
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.occupancy.release(self.records.len(), self.bytes);
    }
}

/// Of two failures, the one that counts for both: fenced, or else the longer
/// wait.
fn graver(one: Option<Failure>, other: Failure) -> Option<Failure> {
    let weight = |failure: &Failure| match failure {
        Failure::Fenced(_) => (true, None),
        Failure::Retryable { after, .. } => (false, *after),
        Failure::Permanent(_) => (false, None),
    };
    match one {
        Some(one) if weight(&one) >= weight(&other) => Some(one),
        _ => Some(other),
    }
}

/// Walks over completions record by record.
struct Runs {
    rest: std::vec::IntoIter<Completion>,
    open: Option<Completion>,
}

impl Runs {
    fn of(completions: Vec<Completion>) -> Self {
        Self {
            rest: completions.into_iter(),
            open: None,
        }
    }

    /// Passes the completions of the next `records` records to `act`, split
    /// where they cover more.
    fn next_records(&mut self, mut records: usize, mut act: impl FnMut(Completion)) {
        while records > 0 {
            let Some(mut run) = self.open.take().or_else(|| self.rest.next()) else {
                return;
            };
            if run.len() > records {
                let front = run.split_off_front(records);
                self.open = Some(run);
                act(front);
                return;
            }
            records -= run.len();
            act(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records;
    use crate::{Outcome, Queue, QueueLimits};
    use sluice_types::retry_after::RetryAfter;
    use std::time::Duration;

    const LIMITS: QueueLimits = QueueLimits {
        records: 100,
        bytes: 1 << 20,
    };

    fn permanent(index: usize) -> Refusal {
        Refusal {
            index,
            failure: Failure::Permanent(format!("no {index}")),
        }
    }

    fn retryable(index: usize, millis: u64) -> Refusal {
        let after = Some(RetryAfter::at_most(Duration::from_millis(millis)));
        Refusal {
            index,
            failure: Failure::Retryable {
                reason: "busy".to_owned(),
                after,
            },
        }
    }

    fn rejected(outcome: Outcome) -> Vec<usize> {
        match outcome {
            Outcome::Acknowledged { rejected, .. } => rejected.iter().map(|r| r.index).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_request_gets_the_outcome_of_its_own_records() {
        let queue = Queue::new(1, LIMITS);
        let one = queue.submit(records(2)).unwrap();
        let two = queue.submit(records(3)).unwrap();
        let three = queue.submit(records(1)).unwrap();
        let settled = queue
            .take()
            .settle(vec![permanent(1), permanent(2), permanent(4)]);
        assert!(settled.retry.is_none());
        assert_eq!(queue.depth().0, 3);
        for (batch, reason) in settled.refused {
            batch.reject(&reason, false);
        }
        assert_eq!(rejected(one.await), [1]);
        assert_eq!(rejected(two.await), [0, 2]);
        assert_eq!(rejected(three.await), [0_usize; 0]);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn records_to_be_retried_keep_their_order_and_still_count_in_the_limits() {
        let queue = Queue::new(1, LIMITS);
        let one = queue.submit(records(4)).unwrap();
        let two = queue.submit(records(1)).unwrap();
        let refusals = vec![retryable(0, 5), permanent(1), retryable(3, 9)];
        let Settled { retry, refused } = queue.take().settle(refusals);
        let (retry, failure) = retry.unwrap();
        for (batch, reason) in refused {
            batch.reject(&reason, false);
        }
        assert_eq!(rejected(two.await), [0_usize; 0]);
        assert_eq!(
            retry
                .records
                .iter()
                .map(|r| r.id.sequence)
                .collect::<Vec<_>>(),
            [1, 4]
        );
        let after = RetryAfter::at_most(Duration::from_millis(9));
        assert!(matches!(failure, Failure::Retryable { after: Some(a), .. } if a == after));
        assert_eq!(queue.depth().0, 2);
        retry.acknowledge();
        assert_eq!(rejected(one.await), [1]);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn a_request_that_is_split_waits_for_both_parts() {
        let queue = Queue::new(1, LIMITS);
        let one = queue.submit(records(3)).unwrap();
        let two = queue.submit(records(1)).unwrap();
        let (left, right) = queue.take().split(2);
        assert_eq!((left.records.len(), right.records.len()), (2, 2));
        assert_eq!(right.records[0].id.sequence, 3);
        right.reject("poison", false);
        assert_eq!(queue.depth().0, 2);
        left.acknowledge();
        assert_eq!(rejected(one.await), [2]);
        assert_eq!(rejected(two.await), [0]);
        assert_eq!(queue.depth(), (0, 0));
    }
}
