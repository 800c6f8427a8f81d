//! Records that are offered together, and who waits for each of them.

use std::sync::Arc;

use super::ack::Share;
use super::queue::Queue;
use crate::record::LogRecord;
use crate::sink::{Failure, Refusal};

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
pub(super) enum Settled {
    /// Every record has its outcome.
    All,
    /// These are to be offered again, not sooner than the failure says.
    Retry(Batch, Failure),
    /// Another leader is at work.
    Fenced(Batch, String),
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

    /// Whether nobody waits for any of it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.shares.iter().all(Share::is_abandoned)
    }

    /// Everything is safe.
    pub(super) fn acknowledge(mut self) {
        self.shares.drain(..).for_each(Share::acknowledge);
    }

    /// The sink will take none of it, ever.
    pub(super) fn reject(mut self, reason: &str) {
        self.shares.drain(..).for_each(|share| share.reject(reason));
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

    /// Two halves, none of which splits a request; `None` if it is of one.
    pub(super) fn halves(mut self) -> Result<(Self, Self), Self> {
        if self.shares.len() < 2 {
            return Err(self);
        }
        let shares = self.shares.split_off(self.shares.len() / 2);
        let first: usize = self.shares.iter().map(Share::len).sum();
        let records = self.records.split_off(first);
        let bytes = records.iter().map(LogRecord::size).sum();
        self.bytes -= bytes;
        let queue = Arc::clone(&self.queue);
        let second = Self {
            records,
            shares,
            bytes,
            offers: self.offers,
            queue,
        };
        Ok((self, second))
    }

    /// Acknowledges every record but the refused, and settles those by what
    /// the sink said of each. `refusals` is in growing order of index.
    pub(super) fn settle(mut self, refusals: Vec<Refusal>) -> Settled {
        let mut again = Self::new(Arc::clone(&self.queue));
        again.offers = self.offers;
        let mut why_again = None;
        let mut fenced = None;
        let mut records = std::mem::take(&mut self.records).into_iter();
        let mut shares = Shares {
            rest: std::mem::take(&mut self.shares).into_iter(),
            open: None,
        };
        let mut at = 0;
        for Refusal { index, failure } in refusals {
            shares.each(index - at, Share::acknowledge);
            let record = records.nth(index - at);
            at = index + 1;
            match failure {
                Failure::Permanent(reason) => shares.each(1, |share| share.reject(&reason)),
                failure => {
                    if let Failure::Fenced(reason) = &failure {
                        fenced.get_or_insert_with(|| reason.clone());
                    }
                    let record = record.unwrap_or_default();
                    let size = record.size();
                    self.bytes -= size;
                    again.bytes += size;
                    again.records.push(record);
                    shares.each(1, |share| again.shares.push(share));
                    why_again = later(why_again, failure);
                }
            }
        }
        shares.each(usize::MAX, Share::acknowledge);
        // What is left here is settled; what goes on took its room along.
        self.queue.release(
            at + records.len() - again.records.len(),
            std::mem::take(&mut self.bytes),
        );
        match (fenced, why_again) {
            (Some(reason), _) => Settled::Fenced(again, reason),
            (None, Some(failure)) => Settled::Retry(again, failure),
            (None, None) => Settled::All,
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.queue.release(self.records.len(), self.bytes);
    }
}

/// Of two failures, the one that asks for the longer wait.
fn later(one: Option<Failure>, other: Failure) -> Option<Failure> {
    let wait = |failure: &Failure| match failure {
        Failure::Retryable { after, .. } => *after,
        _ => None,
    };
    match one {
        Some(one) if wait(&one) >= wait(&other) => Some(one),
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
    use crate::delivery::{Outcome, QueueLimits};
    use crate::record::Text;

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
        assert!(matches!(settled, Settled::All));
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
        let Settled::Retry(again, failure) = queue.take().settle(refusals) else {
            panic!("settled")
        };
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
    async fn halves_keep_requests_whole() {
        let queue = Queue::new(1, LIMITS);
        let one = queue.submit(records(3)).unwrap();
        let two = queue.submit(records(1)).unwrap();
        let (left, right) = queue.take().halves().unwrap();
        assert_eq!((left.records.len(), right.records.len()), (3, 1));
        let left = left.halves().unwrap_err();
        left.acknowledge();
        right.reject("poison");
        assert_eq!(rejected(one.await), [0_usize; 0]);
        assert_eq!(rejected(two.await), [0]);
        assert_eq!(queue.depth(), (0, 0));
    }
}
