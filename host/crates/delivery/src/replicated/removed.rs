//! What was removed of a log.

use tokio::time::Instant;

/// What was removed.
#[derive(Debug)]
pub(super) struct Removal {
    /// Messages before this one are removed.
    pub(super) below: u64,
    /// The size of the log after that.
    pub(super) used: u64,
    /// When that was last tried.
    pub(super) tried: Instant,
}

impl Removal {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            // Nothing lies before the first message.
            below: 1,
            used: 0,
            tried: now,
        }
    }
}
