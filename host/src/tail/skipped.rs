//! What a client is not shown, and when it is told.

use std::time::Duration;

use tokio::time::Instant;

use super::event::SkippedEvent;

/// The least time between two messages.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts what is skipped.
#[derive(Debug)]
pub(super) struct Skipped {
    /// What was not told yet.
    count: SkippedEvent,
    /// When the client may be told again.
    next: Instant,
}

impl Skipped {
    pub(super) fn new() -> Self {
        Self {
            count: SkippedEvent::default(),
            next: Instant::now() + INTERVAL,
        }
    }

    /// Records that match were not shown.
    pub(super) const fn add(&mut self, records: u64) {
        self.count.records += records;
    }

    /// Records passed that nobody has looked at.
    pub(super) const fn add_unfiltered(&mut self, records: u64) {
        self.count.records += records;
        self.count.unfiltered += records;
    }

    /// When the client is to be told, if anything was skipped.
    pub(super) fn due_at(&self) -> Option<Instant> {
        (self.count.records > 0).then_some(self.next)
    }

    /// What the client is to be told now, if anything.
    pub(super) fn take(&mut self) -> Option<SkippedEvent> {
        let now = Instant::now();
        self.due_at().filter(|due| *due <= now)?;
        self.next = now + INTERVAL;
        Some(std::mem::take(&mut self.count))
    }
}
