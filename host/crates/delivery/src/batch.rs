//! Records that are offered together, and who waits for each of them.

use std::sync::Arc;

use super::ack::Share;
use super::queue::Queue;
use sluice_types::outcome::{Failure, Refusal};
use sluice_types::record::LogRecord;

/// Records in the order in which they were accepted. Its room in the queue is
/// given back when it is dropped.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<LogRecord>,
    /// Consecutive runs of the records, each of one request.
    pub(super) shares: Vec<Share>,
    /// The sum of the records' sizes.
    pub(super) bytes: usize,
    /// How often it was offered to a sink.
    pub(super) offers: u32,
    queue: Arc<Queue>,
}

/// What is left of a batch after the sink took or refused single records.
pub(super) struct Settled {
    /// To be offered again, and what the sink asked for.
    pub(super) again: Option<(Batch, Failure)>,
    /// Refused for good: a record each, with the sink's reason.
    pub(super) refused: Vec<(Batch, String)>,
}

impl Batch {
    pub(super) const fn new(queue: Arc<Queue>) -> Self {
        Self {
            records: Vec::new(),
            shares: Vec::new(),
            bytes: 0,
            offers: 0,
            queue,
        }
    }

    /// Says to all who wait what keeps it from being confirmed for now.
    pub(super) fn trouble(&self, what: &str) {
        let what = what.into();
        self.shares.iter().for_each(|share| share.trouble(&what));
    }

    /// Whether nobody waits for any of it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.shares.iter().all(Share::is_abandoned)
    }

    /// How many of its records nobody was told yet that they are safe, besides
    /// those at the indices in `refused`, which grow.
    pub(super) fn unpromised<'a>(
        &'a self,
        refused: &'a [Refusal],
    ) -> impl Iterator<Item = &'a LogRecord> {
        let mut refused = refused.iter().map(|refusal| refusal.index).peekable();
        let shares = self.shares.iter();
        let promised =
            shares.flat_map(|share| std::iter::repeat_n(share.is_promised(), share.len()));
        let records = self.records.iter().zip(promised).enumerate();
        records.filter_map(move |(index, (record, is_promised))| {
            let is_refused = refused.next_if_eq(&index).is_some();
            (!is_promised && !is_refused).then_some(record)
        })
    }

    /// Whether a producer was told of any of it that it is safe.
    pub(super) fn is_promised(&self) -> bool {
        self.shares.iter().any(Share::is_promised)
    }

    /// Everything is safe.
    pub(super) fn acknowledge(mut self) {
        self.shares.drain(..).for_each(Share::acknowledge);
    }

    /// The sink will take none of it, ever; `is_kept` if it is a dead letter
    /// now.
    pub(super) fn reject(mut self, reason: &str, is_kept: bool) {
        let shares = self.shares.drain(..);
        shares.for_each(|share| share.reject(reason, is_kept));
    }

    /// None of it was offered.
    pub(super) fn not_delivered(mut self, reason: &'static str) {
        self.shares
            .drain(..)
            .for_each(|share| share.not_delivered(reason));
    }

    /// It was offered and not confirmed.
    pub(super) fn unknown(mut self, reason: &str) {
        self.shares
            .drain(..)
            .for_each(|share| share.unknown(reason));
    }

    /// The first `count` records apart from the rest, in their order; a
    /// request that reaches further waits for both.
    pub(super) fn split(mut self, count: usize) -> (Self, Self) {
        let mut rest = self.empty();
        rest.records = self.records.split_off(count.min(self.records.len()));
        rest.bytes = rest.records.iter().map(LogRecord::size).sum();
        self.bytes -= rest.bytes;
        let mut shares = Shares {
            rest: std::mem::take(&mut self.shares).into_iter(),
            open: None,
        };
        shares.each(self.records.len(), |share| self.shares.push(share));
        shares.each(rest.records.len(), |share| rest.shares.push(share));
        (self, rest)
    }

    /// Acknowledges every record but the refused, and gives those back by
    /// what the sink said of each. `refusals` is in growing order of index.
    pub(super) fn settle(mut self, refusals: Vec<Refusal>) -> Settled {
        let mut again = self.empty();
        let mut refused = Vec::new();
        let mut why_again = None;
        let mut records = std::mem::take(&mut self.records).into_iter();
        let mut shares = Shares {
            rest: std::mem::take(&mut self.shares).into_iter(),
            open: None,
        };
        let (mut at, mut kept) = (0, 0);
        for Refusal { index, failure } in refusals {
            shares.each(index - at, Share::acknowledge);
            let record = records.nth(index - at).unwrap_or_default();
            at = index + 1;
            kept += 1;
            self.bytes -= record.size();
            match failure {
                Failure::Permanent(reason) => {
                    let mut one = self.empty();
                    one.push(record, &mut shares);
                    refused.push((one, reason));
                }
                failure => {
                    again.push(record, &mut shares);
                    why_again = graver(why_again, failure);
                }
            }
        }
        shares.each(usize::MAX, Share::acknowledge);
        // What is left here is settled; what goes on took its room along.
        self.queue
            .release(at + records.len() - kept, std::mem::take(&mut self.bytes));
        Settled {
            again: why_again.map(|failure| (again, failure)),
            refused,
        }
    }

    /// One without records, as often offered.
    fn empty(&self) -> Self {
        let mut empty = Self::new(Arc::clone(&self.queue));
        empty.offers = self.offers;
        empty
    }

    fn push(&mut self, record: LogRecord, shares: &mut Shares) {
        self.bytes += record.size();
        self.records.push(record);
        shares.each(1, |share| self.shares.push(share));
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.queue.release(self.records.len(), self.bytes);
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

/// Walks over shares record by record.
struct Shares {
    rest: std::vec::IntoIter<Share>,
    open: Option<Share>,
}

impl Shares {
    /// Hands the shares of the next `records` records to `act`, split where
    /// they reach further.
    fn each(&mut self, mut records: usize, mut act: impl FnMut(Share)) {
        while records > 0 {
            let Some(mut share) = self.open.take().or_else(|| self.rest.next()) else {
                return;
            };
            if share.len() > records {
                let front = share.split_off_front(records);
                self.open = Some(share);
                act(front);
                return;
            }
            records -= share.len();
            act(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, QueueLimits};
    use sluice_types::record::Text;

    const LIMITS: QueueLimits = QueueLimits {
        records: 100,
        bytes: 1 << 20,
    };

    fn records(count: usize) -> Vec<LogRecord> {
        (0..count)
            .map(|_| LogRecord::with_body(Text::from_static("x"), 0))
            .collect()
    }

    fn permanent(index: usize) -> Refusal {
        Refusal {
            index,
            failure: Failure::Permanent(format!("no {index}")),
        }
    }

    fn retryable(index: usize, millis: u64) -> Refusal {
        let after = Some(std::time::Duration::from_millis(millis));
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
        assert!(settled.again.is_none());
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
    async fn what_is_refused_for_now_is_kept_in_order_and_keeps_its_room() {
        let queue = Queue::new(1, LIMITS);
        let one = queue.submit(records(4)).unwrap();
        let two = queue.submit(records(1)).unwrap();
        let refusals = vec![retryable(0, 5), permanent(1), retryable(3, 9)];
        let Settled { again, refused } = queue.take().settle(refusals);
        let (again, failure) = again.unwrap();
        for (batch, reason) in refused {
            batch.reject(&reason, false);
        }
        assert_eq!(rejected(two.await), [0_usize; 0]);
        assert_eq!(
            again
                .records
                .iter()
                .map(|r| r.id.sequence)
                .collect::<Vec<_>>(),
            [1, 4]
        );
        assert!(matches!(failure, Failure::Retryable { after: Some(a), .. } if a.as_millis() == 9));
        assert_eq!(queue.depth().0, 2);
        again.acknowledge();
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
