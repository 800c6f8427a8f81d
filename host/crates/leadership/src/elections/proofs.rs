//! When the locks that this node holds are proved. One read proves them all.

use std::time::Duration;

use sluice_types::clock::BootTime;

/// Reads that may be under way at once.
const MAX_OPEN: u32 = 3;

/// When the next read is due, and how many are under way.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    next: Option<BootTime>,
    open: u32,
}

impl Proofs {
    /// A read is due by then, or earlier.
    pub(super) fn due_by(&mut self, time: BootTime) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }

    /// No lock is held any more.
    pub(super) const fn none_due(&mut self) {
        self.next = None;
    }

    /// A read has ended.
    pub(super) const fn ended(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// When the next read is due.
    pub(super) const fn wake(&self) -> Option<BootTime> {
        self.next
    }

    /// Whether to read now; the next read is due after `interval`.
    pub(super) fn advance(&mut self, now: BootTime, interval: Duration) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        self.next = Some(now + interval);
        if self.open >= MAX_OPEN {
            return false;
        }
        self.open += 1;
        true
    }
}
