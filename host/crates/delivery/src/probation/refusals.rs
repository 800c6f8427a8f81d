//! Refused records that are kept back until it is clear whether the sink that
//! refused them stays.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::batch::Batch;
use crate::occupancy::QueueLimits;

/// How long a refusal is kept back at most.
const HOLD_TIME: Duration = Duration::from_secs(3);
/// The part of the queue's limits that may be kept back.
const PART: usize = 4;

/// One record each, with the sink's reason.
#[derive(Debug)]
pub(super) struct HeldRefusals {
    /// What may be held.
    limits: QueueLimits,
    /// With the time of the refusal, oldest first.
    held: VecDeque<(Instant, Batch, String)>,
    bytes: usize,
}

impl HeldRefusals {
    pub(super) fn new(queue: QueueLimits) -> Self {
        Self {
            limits: QueueLimits {
                records: queue.records / PART,
                bytes: queue.bytes / PART,
            },
            held: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Keeps a record back; returns it if that would be too much.
    pub(super) fn hold(&mut self, batch: Batch, reason: String) -> Option<(Batch, String)> {
        let bytes = self.bytes + batch.bytes;
        if self.held.len() >= self.limits.records || bytes > self.limits.bytes {
            return Some((batch, reason));
        }
        self.bytes = bytes;
        batch.set_last_error(&reason);
        self.held.push_back((Instant::now(), batch, reason));
        None
    }

    /// Whether at least half of what may be held is.
    pub(super) fn is_half_full(&self) -> bool {
        self.held.len() >= self.limits.records / 2 || self.bytes >= self.limits.bytes / 2
    }

    /// Those that have been held long enough. Records whose producer was told
    /// that they are safe are no exception: nothing behind them leaves the
    /// journal before they have their outcome.
    pub(super) fn due(&mut self) -> Vec<(Batch, String)> {
        let now = Instant::now();
        let times = self.held.iter().map(|(since, ..)| *since);
        let count = times.take_while(|since| *since + HOLD_TIME <= now).count();
        let due: Vec<_> = self.held.drain(..count).map(unheld).collect();
        self.bytes -= due.iter().map(|(batch, _)| batch.bytes).sum::<usize>();
        due
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        self.held.front().map(|(since, ..)| *since + HOLD_TIME)
    }

    /// All, oldest refusal first.
    pub(super) fn take(&mut self) -> Vec<(Batch, String)> {
        self.bytes = 0;
        self.held.drain(..).map(unheld).collect()
    }

    /// All, in the order in which they were accepted, as batches of the usual
    /// size.
    pub(super) fn take_in_order(&mut self) -> Vec<Batch> {
        let mut records: Vec<_> = self.take().into_iter().map(|(batch, _)| batch).collect();
        records.sort_by_key(first_id);
        let mut batches: Vec<Batch> = Vec::new();
        for next in records {
            match batches.last_mut() {
                Some(last) if last.has_room() => last.append(next),
                _ => batches.push(next),
            }
        }
        batches
    }
}

fn unheld((_, batch, reason): (Instant, Batch, String)) -> (Batch, String) {
    (batch, reason)
}

fn first_id(batch: &Batch) -> Option<(u64, u64)> {
    let first = batch.records.first();
    first.map(|record| (record.id.epoch, record.id.sequence))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Queue;
    use crate::testing::records;

    const LIMITS: QueueLimits = QueueLimits {
        records: 20_000,
        bytes: 64 << 20,
    };

    /// One record each of as many requests.
    fn single(queue: &Arc<Queue>, count: usize) -> Vec<Batch> {
        let take = |_| {
            let receipt = queue.submit(records(1)).unwrap();
            let batch = queue.take();
            drop(receipt);
            batch
        };
        (0..count).map(take).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_were_acknowledged_are_held_no_longer_than_others() {
        let queue = Queue::new(7, LIMITS);
        let mut held = HeldRefusals::new(LIMITS);
        let receipt = queue.submit_acknowledged(records(1)).unwrap();
        assert!(held.hold(queue.take(), "no".to_owned()).is_none());
        tokio::time::advance(HOLD_TIME - Duration::from_millis(1)).await;
        assert!(held.due().is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(held.due().len(), 1);
        assert_eq!(held.due_at(), None);
        drop(receipt);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_offered_again_goes_in_batches_in_the_order_of_all_epochs() {
        let queue = Queue::new(7, LIMITS);
        let mut held = HeldRefusals::new(LIMITS);
        let mut batches = single(&queue, 2500);
        // The last one comes from the journal of an earlier leader.
        let last = batches.last_mut().unwrap();
        last.records.to_mut()[0].id.epoch = 6;
        for batch in batches.into_iter().rev() {
            assert!(held.hold(batch, "no".to_owned()).is_none());
        }
        let again = held.take_in_order();
        let sizes: Vec<_> = again.iter().map(|batch| batch.records.len()).collect();
        assert_eq!(sizes, [1024, 1024, 452]);
        let ids = again.iter().flat_map(|batch| batch.records.iter());
        let ids: Vec<_> = ids.map(|r| (r.id.epoch, r.id.sequence)).collect();
        let expected = std::iter::once((6, 2500)).chain((1..2500).map(|s| (7, s)));
        assert_eq!(ids, expected.collect::<Vec<_>>());
        assert_eq!(queue.depth().0, 2500);
        drop(again);
        assert_eq!(queue.depth(), (0, 0));
    }
}
