//! All that watch a stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::passed::Passed;
use super::waiting::Waiting;

/// What waits for each of them.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// As many as there are in the list.
    count: AtomicUsize,
    list: Mutex<Vec<Arc<Waiting>>>,
}

impl Watchers {
    /// The only thing that is asked while nobody watches.
    pub(super) fn are_there(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add(&self, waiting: Arc<Waiting>) {
        self.change(|list| list.push(waiting));
    }

    pub(super) fn remove(&self, waiting: &Arc<Waiting>) {
        self.change(|list| list.retain(|other| !Arc::ptr_eq(other, waiting)));
    }

    pub(super) fn show(&self, passed: &Arc<Passed>) {
        self.lock().iter().for_each(|waiting| waiting.push(passed));
    }

    /// Counts records that are not shown.
    pub(super) fn miss(&self, records: usize) {
        self.lock().iter().for_each(|waiting| waiting.miss(records));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Waiting>>)) {
        let mut list = self.lock();
        change(&mut list);
        self.count.store(list.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Waiting>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
