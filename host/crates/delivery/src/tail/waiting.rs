//! What waits for one watcher.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::passed::Passed;

/// Once this many bytes of records wait for a watcher, the oldest give way. All
/// watchers that are behind hold the same latest records, so that a stream holds
/// little more than this for all of them.
const WAITING_BYTES: usize = 4 << 20;
/// The same for the number of entries, each of which may be one record.
const WAITING_ENTRIES: usize = 1024;

/// What was published for a watcher and not taken yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Arc<Passed>>,
    /// Of the entries together.
    bytes: usize,
    /// Records that gave way since the last time this was taken.
    missed: u64,
}

impl Waiting {
    /// Takes the oldest entry, if there is one, and the number of records that were
    /// missed since the last call.
    pub(super) fn take(&self) -> (u64, Option<Arc<Passed>>) {
        let mut state = self.lock();
        let missed = std::mem::take(&mut state.missed);
        (missed, state.pop())
    }

    /// Waits until something can be taken. Can be cancelled.
    pub(super) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().is_empty() {
                return;
            }
            filled.await;
        }
    }

    pub(super) fn push(&self, passed: &Arc<Passed>) {
        self.lock().push(passed);
        self.filled.notify_one();
    }

    /// Counts records that are not shown.
    pub(super) fn miss(&self, records: usize) {
        self.lock().miss(records);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.missed == 0
    }

    fn push(&mut self, passed: &Arc<Passed>) {
        while self.bytes >= WAITING_BYTES || self.entries.len() >= WAITING_ENTRIES {
            let Some(oldest) = self.pop() else { break };
            self.miss(oldest.records.len());
        }
        self.bytes += passed.bytes;
        self.entries.push_back(Arc::clone(passed));
    }

    fn pop(&mut self) -> Option<Arc<Passed>> {
        let oldest = self.entries.pop_front()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }

    fn miss(&mut self, records: usize) {
        self.missed += u64::try_from(records).unwrap_or(u64::MAX);
    }
}
