//! What connections have done, and how long they wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a connection waits for an answer, and the end for the last
/// acknowledgements.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What all connections have done so far.
#[derive(Default)]
pub(crate) struct Progress {
    /// Requests that were sent.
    pub(crate) sent: AtomicU64,
    /// Requests that were answered.
    pub(crate) answered: AtomicU64,
    pub(crate) is_over: AtomicBool,
}

impl Progress {
    /// Whether nothing more is to be sent.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}
