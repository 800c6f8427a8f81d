//! One that watches.

use std::sync::Arc;

use super::passed::Passed;
use super::waiting::Waiting;
use super::watchers::Watchers;

/// Sees what passes. Dropping it ends that.
#[derive(Debug)]
pub struct Watcher {
    waiting: Arc<Waiting>,
    /// It is one of these.
    all: Arc<Watchers>,
}

impl Watcher {
    /// One more of these.
    pub(super) fn enter(all: &Arc<Watchers>) -> Self {
        let waiting = Arc::default();
        all.add(Arc::clone(&waiting));
        Self {
            waiting,
            all: Arc::clone(all),
        }
    }

    /// Takes the oldest entry that waits, if there is one, and the number of
    /// records that passed unseen since the last call.
    #[must_use]
    pub fn take(&self) -> (u64, Option<Arc<Passed>>) {
        self.waiting.take()
    }

    /// Waits until something can be taken. Can be cancelled.
    pub async fn filled(&self) {
        self.waiting.filled().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.all.remove(&self.waiting);
    }
}
