//! What this node knows of the lock, and the watch that keeps it current.

use crate::command::Command;
use crate::lock::Lock;
use sluice_types::clock::BootTime;

#[derive(Debug, Default)]
pub(super) struct LockWatch {
    is_open: bool,
    retry: BootTime,
    /// The lock as it was last seen.
    lock: Lock,
    /// Whether the last watch was answered.
    is_known: bool,
}

impl LockWatch {
    pub(super) const fn lock(&self) -> &Lock {
        &self.lock
    }

    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Notes a read of the lock. Returns whether its key has changed.
    pub(super) fn see(&mut self, lock: Lock) -> bool {
        let is_news = self.lock.key != lock.key;
        self.lock = lock;
        is_news
    }

    /// The watch ended. It is opened again at `retry`.
    pub(super) const fn ended(&mut self, is_answered: bool, retry: BootTime) {
        self.is_open = false;
        self.is_known = is_answered;
        self.retry = retry;
    }

    /// When to open the watch; `None` if it is open.
    pub(super) fn wake(&self) -> Option<BootTime> {
        (!self.is_open).then_some(self.retry)
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, now: BootTime) -> Option<Command> {
        if self.is_open || now < self.retry {
            return None;
        }
        self.is_open = true;
        // After a watch without an answer, do not wait for a change: the index
        // may be of a state that the coordinator lost, or the change already
        // there.
        let index = if self.is_known { self.lock.index } else { 0 };
        Some(Command::Watch { index })
    }
}
