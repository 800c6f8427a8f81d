//! The memory that the queues of all streams of a node may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// Bytes for all queues of a node. Each stream may always use its reserve; what is left
/// beyond the reserves belongs to any stream that needs it.
#[derive(Debug)]
pub struct QueueBudget {
    total: usize,
    /// The reserve of each stream.
    reserve: usize,
    /// The streams that have a share.
    streams: AtomicUsize,
    /// What streams use beyond their reserves. It is below 0 for a moment if bytes are
    /// given back before the thread that has added them has also added them here.
    shared: AtomicIsize,
    /// What is kept besides, only so that it need not be read again.
    kept: AtomicUsize,
}

/// What one stream uses of a budget: its queue, and what waits for its journal.
#[derive(Debug)]
pub struct QueueShare {
    budget: Arc<QueueBudget>,
    used: AtomicUsize,
}

/// There is no room in the budget now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl QueueBudget {
    /// A budget of `total` bytes for at most `streams` streams. A quarter of it is for
    /// their reserves. As much is there besides for what is kept so that it need not be
    /// read again.
    #[must_use]
    pub fn new(total: usize, streams: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            reserve: total / 4 / streams.max(1),
            streams: AtomicUsize::new(0),
            shared: AtomicIsize::new(0),
            kept: AtomicUsize::new(0),
        })
    }

    /// The share of another stream.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> Arc<QueueShare> {
        self.streams.fetch_add(1, Ordering::AcqRel);
        Arc::new(QueueShare {
            budget: Arc::clone(self),
            used: AtomicUsize::new(0),
        })
    }

    /// What all streams together may use beyond their reserves.
    fn to_share(&self) -> usize {
        let reserved = self.reserve * self.streams.load(Ordering::Acquire);
        self.total.saturating_sub(reserved)
    }

    /// Whether streams use more beyond their reserves than they may.
    fn is_exceeded(&self, shared: isize) -> bool {
        usize::try_from(shared).is_ok_and(|shared| shared > self.to_share())
    }

    const fn beyond(&self, used: usize) -> isize {
        used.saturating_sub(self.reserve).cast_signed()
    }
}

impl QueueShare {
    /// Whether no other stream has a share now.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.budget.streams.load(Ordering::Acquire) == 1
    }

    /// Adds bytes if there is room for them.
    pub(crate) fn try_add(&self, bytes: usize) -> Result<(), NoRoom> {
        let shared = self.add(bytes);
        if shared.is_some_and(|shared| self.budget.is_exceeded(shared)) {
            self.release(bytes);
            return Err(NoRoom);
        }
        Ok(())
    }

    /// Whether there is room for so many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Acquire);
        let added = self.budget.beyond(used + bytes) - self.budget.beyond(used);
        let shared = || self.budget.shared.load(Ordering::Acquire) + added;
        added == 0 || !self.budget.is_exceeded(shared())
    }

    /// Adds bytes that are there anyway. Returns what all streams use beyond their
    /// reserves, if this adds to it.
    pub(crate) fn add(&self, bytes: usize) -> Option<isize> {
        // Each change of `used` has one place in an order, so what is added to the
        // shared part is always what all of them together are beyond the reserve.
        let before = self.used.fetch_add(bytes, Ordering::AcqRel);
        let beyond = self.budget.beyond(before + bytes) - self.budget.beyond(before);
        let shared = || self.budget.shared.fetch_add(beyond, Ordering::AcqRel);
        (beyond > 0).then(|| shared() + beyond)
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        let beyond = self.budget.beyond(before) - self.budget.beyond(before - bytes);
        self.budget.shared.fetch_sub(beyond, Ordering::AcqRel);
    }

    /// Counts bytes that are kept so that they need not be read again, if there is room.
    /// They take nothing from the queues.
    pub(crate) fn try_keep(&self, bytes: usize) -> bool {
        let before = self.budget.kept.fetch_add(bytes, Ordering::AcqRel);
        let is_kept = before + bytes <= self.budget.total / 4;
        if !is_kept {
            self.forget(bytes);
        }
        is_kept
    }

    /// Gives back what [`try_keep`](Self::try_keep) has counted.
    pub(crate) fn forget(&self, bytes: usize) {
        self.budget.kept.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for QueueShare {
    fn drop(&mut self) {
        self.release(self.used.load(Ordering::Acquire));
        self.budget.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_alone_may_use_all_of_it() {
        let share = QueueBudget::new(1000, 64).share();
        assert!(share.is_alone());
        assert_eq!(share.try_add(1000), Ok(()));
        assert!(!share.has_room(1));
        assert_eq!(share.try_add(1), Err(NoRoom));
        share.release(1000);
        assert!(share.has_room(1000));
    }

    #[test]
    fn a_stream_that_takes_all_leaves_the_others_their_reserves() {
        let budget = QueueBudget::new(1000, 10);
        let (greedy, other) = (budget.share(), budget.share());
        assert!(!greedy.is_alone());
        // 25 bytes are reserved for the other.
        assert_eq!(greedy.try_add(976), Err(NoRoom));
        assert_eq!(greedy.try_add(975), Ok(()));
        assert!(other.has_room(25));
        assert!(!other.has_room(26));
        assert_eq!(other.try_add(26), Err(NoRoom));
        assert_eq!(other.try_add(25), Ok(()));
        greedy.release(100);
        assert_eq!(other.try_add(100), Ok(()));
        drop(other);
        assert_eq!(greedy.try_add(125), Ok(()));
    }

    #[test]
    fn what_is_there_anyway_counts_for_all() {
        let budget = QueueBudget::new(1000, 2);
        let (a, b) = (budget.share(), budget.share());
        a.add(2000);
        assert!(!b.has_room(126));
        assert_eq!(b.try_add(125), Ok(()), "its reserve");
        a.release(2000);
        assert_eq!(b.try_add(700), Ok(()));
    }

    #[test]
    fn what_many_threads_add_and_give_back_leaves_nothing() {
        let budget = QueueBudget::new(1000, 8);
        let share = budget.share();
        std::thread::scope(|scope| {
            for thread in 1..=8 {
                let share = &share;
                scope.spawn(move || {
                    for round in 0..1000 {
                        let bytes = (thread * 31 + round) % 200;
                        if share.try_add(bytes).is_ok() {
                            share.release(bytes);
                        }
                    }
                });
            }
        });
        assert_eq!(share.used.load(Ordering::Acquire), 0);
        assert_eq!(budget.shared.load(Ordering::Acquire), 0);
    }
}
