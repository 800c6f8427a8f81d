//! Publishes what passes to all watchers of a stream.

use std::sync::Arc;

use super::passed::{Fate, Passed};
use super::watcher::Watcher;
use super::watchers::Watchers;
use crate::batch::Batch;
use sluice_types::clock::unix_nanos;
use sluice_types::outcome::Refusal;
use sluice_types::record::LogRecord;
use sluice_types::records::Records;

/// The most records that are copied to be shown, of a batch that is about to be
/// taken apart.
const COPIED_RECORDS: usize = 64;

/// Where the delivery of a stream says what became of records. Clones are for the
/// same stream.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Watchers>);

impl Tail {
    /// A stream that nobody watches yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches what passes from now on. The caller bounds the number of watchers.
    #[must_use]
    pub fn watch(&self) -> Watcher {
        Watcher::enter(&self.0)
    }

    /// All records of the batch have this fate.
    pub(crate) fn passed(&self, batch: &Batch, fate: impl FnOnce() -> Fate) {
        if self.0.are_there() && !batch.records.is_empty() {
            self.publish(batch.records.clone(), batch.bytes, fate());
        }
    }

    /// The records of the batch are delivered but for the refused ones. `refusals`
    /// is sorted by index.
    pub(crate) fn delivered(&self, batch: &Batch, refusals: &[Refusal]) {
        if refusals.is_empty() {
            return self.passed(batch, || Fate::Delivered);
        }
        let accepted = batch.records.len() - refusals.len();
        if !self.0.are_there() || accepted == 0 {
            return;
        }
        // The batch is taken apart, which would copy all records if they were shared.
        let mut refused = refusals.iter().map(|refusal| refusal.index).peekable();
        let all = batch.records.iter().enumerate();
        let sample: Vec<LogRecord> = all
            .filter(|(index, _)| refused.next_if_eq(index).is_none())
            .map(|(_, record)| record.clone())
            .take(COPIED_RECORDS)
            .collect();
        if accepted > sample.len() {
            self.0.miss(accepted - sample.len());
        }
        let bytes = sample.iter().map(LogRecord::size).sum();
        self.publish(sample.into(), bytes, Fate::Delivered);
    }

    fn publish(&self, records: Records, bytes: usize, fate: Fate) {
        let passed = Arc::new(Passed {
            records,
            fate,
            at: unix_nanos(),
            bytes,
        });
        self.0.show(&passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records;
    use crate::{Queue, QueueLimits};
    use sluice_types::outcome::Failure;
    use sluice_types::record::Text;

    const LIMITS: QueueLimits = QueueLimits {
        records: 1 << 20,
        bytes: 1 << 30,
    };

    fn batch(records: Vec<LogRecord>) -> Batch {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records).unwrap();
        let batch = queue.take();
        drop(receipt);
        batch
    }

    fn refusal(index: usize) -> Refusal {
        Refusal {
            index,
            failure: Failure::Permanent("no".to_owned()),
        }
    }

    fn sequences(passed: &Passed) -> Vec<u64> {
        let records = passed.records.iter();
        records.map(|record| record.id.sequence).collect()
    }

    #[test]
    fn without_watchers_nothing_is_kept_or_said() {
        let tail = Tail::new();
        let batch = batch(records(3));
        drop(tail.watch());
        tail.passed(&batch, || panic!("nobody watches"));
        let mut shared = batch.records.clone();
        let place = shared.as_ptr();
        drop(batch);
        assert_eq!(shared.to_mut().as_ptr(), place, "somebody has a clone");
    }

    #[tokio::test]
    async fn every_watcher_sees_what_passes_while_it_is_there() {
        let tail = Tail::new();
        let early = tail.watch();
        let batch = batch(records(3));
        tail.passed(&batch, || Fate::Delivered);
        let late = tail.watch();
        tail.passed(&batch, || Fate::Unknown("so".into()));
        let fates = |watcher: &Watcher| {
            let taken = std::iter::from_fn(|| watcher.take().1);
            taken.map(|passed| passed.fate.clone()).collect::<Vec<_>>()
        };
        early.filled().await;
        let unknown = Fate::Unknown("so".into());
        assert_eq!(fates(&early), [Fate::Delivered, unknown.clone()]);
        assert_eq!(fates(&late), [unknown]);
    }

    #[test]
    fn of_a_batch_with_refusals_a_sample_of_the_others_is_shown() {
        let tail = Tail::new();
        let watcher = tail.watch();
        let batch = batch(records(100));
        tail.delivered(&batch, &[refusal(0), refusal(2)]);
        let (missed, passed) = watcher.take();
        let shown = sequences(&passed.unwrap());
        assert_eq!(shown[..3], [2, 4, 5]);
        assert_eq!(shown.len(), COPIED_RECORDS);
        assert_eq!(missed, 98 - 64);
        let refusals: Vec<_> = (0..100).map(refusal).collect();
        tail.delivered(&batch, &refusals);
        assert!(matches!(watcher.take(), (0, None)));
    }

    #[test]
    fn what_waits_is_bounded_and_the_latest_stays() {
        for (body, kept) in [(1 << 20, 4), (10, 1024)] {
            let tail = Tail::new();
            let (slow, other) = (tail.watch(), tail.watch());
            let record = LogRecord::with_body(Text::from("x".repeat(body)), 0);
            for round in 0..2000 {
                let mut record = record.clone();
                record.id.epoch = round + 1;
                tail.passed(&batch(vec![record]), || Fate::Delivered);
                drop(other.take());
            }
            let (missed, oldest) = slow.take();
            assert_eq!(missed, 2000 - kept);
            assert_eq!(oldest.unwrap().records[0].id.epoch, missed + 1);
            let rest = std::iter::from_fn(|| slow.take().1).count();
            assert_eq!(u64::try_from(rest).unwrap() + 1, kept);
        }
    }
}
