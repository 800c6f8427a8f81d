//! Whether the control loop still runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_types::clock::BootTime;

/// How long the control loop may take for one turn. It turns four times per
/// second when there is nothing to do.
const STALL_LIMIT: Duration = Duration::from_secs(2);

/// When the control loop turned last.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

impl Heartbeat {
    pub(crate) fn beat(&self) {
        self.0.store(BootTime::now().as_nanos(), Ordering::Relaxed);
    }

    /// Whether the loop has turned within the last 2 s.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        BootTime::now().since(BootTime::from_nanos(self.0.load(Ordering::Relaxed))) < STALL_LIMIT
    }
}
