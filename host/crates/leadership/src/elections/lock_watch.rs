//! A watch that keeps what is known of locks current.

use sluice_types::clock::BootTime;

#[derive(Debug, Default)]
pub(super) struct LockWatch {
    is_open: bool,
    retry: BootTime,
    /// The index of the last answer.
    index: u64,
    /// Whether the last watch was answered.
    is_known: bool,
}

impl LockWatch {
    /// Whether the last watch was answered.
    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }

    /// The watch was answered at this index.
    pub(super) const fn answered(&mut self, now: BootTime, index: u64) {
        self.index = index;
        self.ended(true, now);
    }

    /// The watch was not answered. It is opened again at `retry`.
    pub(super) const fn unanswered(&mut self, retry: BootTime) {
        self.ended(false, retry);
    }

    const fn ended(&mut self, is_answered: bool, retry: BootTime) {
        self.is_open = false;
        self.is_known = is_answered;
        self.retry = retry;
    }

    /// When to open the watch; `None` if it is open.
    pub(super) fn wake(&self) -> Option<BootTime> {
        (!self.is_open).then_some(self.retry)
    }

    /// Opens the watch if that is due, and returns the index to wait beyond.
    pub(super) fn advance(&mut self, now: BootTime) -> Option<u64> {
        if self.is_open || now < self.retry {
            return None;
        }
        self.is_open = true;
        // After a watch without an answer, do not wait for a change: the index
        // may be of a state that the coordinator lost, or the change already
        // there.
        Some(if self.is_known { self.index } else { 0 })
    }
}
