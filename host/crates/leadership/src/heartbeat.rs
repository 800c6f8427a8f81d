//! Whether the control loop still runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_types::clock::BootTime;

/// A loop that has not turned for so long stands still. It turns four times a
/// second when it has nothing to do.
const STALL_LIMIT: Duration = Duration::from_secs(2);

/// When the control loop last turned.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

impl Heartbeat {
    pub(crate) fn beat(&self) {
        self.0.store(BootTime::now().as_nanos(), Ordering::Relaxed);
    }

    /// Whether it turned lately.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        BootTime::now().since(BootTime::from_nanos(self.0.load(Ordering::Relaxed))) < STALL_LIMIT
    }
}
