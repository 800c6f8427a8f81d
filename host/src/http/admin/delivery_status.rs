//! How the delivery of a stream goes, as operators see it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use sluice_delivery::Stall;

/// How the delivery goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DeliveryStatus {
    /// Why no attempt succeeds, if so.
    pub(crate) stalled: Option<StallStatus>,
}

/// Records wait, and no attempt to deliver them succeeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StallStatus {
    /// When the first of the attempts failed, in RFC 3339.
    pub(crate) since: String,
    /// What kept the last of them from succeeding.
    pub(crate) reason: String,
    /// How long until the next one; `None` while one is under way.
    pub(crate) next_attempt_ms: Option<u64>,
}

impl From<Stall> for StallStatus {
    fn from(stall: Stall) -> Self {
        let whole_ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next_attempt_ms = stall.until_next_attempt().map(whole_ms);
        Self {
            since: stall.since,
            reason: stall.reason,
            next_attempt_ms,
        }
    }
}

impl fmt::Display for StallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, reason, .. } = self;
        write!(f, "delivery stalled since {since} because {reason}")
    }
}
