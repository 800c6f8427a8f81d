//! How a manifest wants to be rolled out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a new manifest is on probation unless it says so itself.
const DEFAULT_PROBATION: Duration = Duration::from_secs(30);
/// The longest probation, in seconds.
pub(super) const MAX_PROBATION_S: u64 = 3600;

/// How the nodes adopt a new manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutWanted {
    /// Which nodes must have prepared it before the leader switches.
    #[serde(skip_serializing_if = "WaitFor::is_leader")]
    pub wait: WaitFor,
    /// How long it is on probation, in seconds; 0 for no probation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probation_s: Option<u64>,
}

/// Which nodes must have prepared a manifest before the leader switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// The leader alone.
    #[default]
    Leader,
    /// All that are present.
    All,
}

impl RolloutWanted {
    /// How long the manifest is on probation; `None` if it is not.
    pub(super) fn probation(&self) -> Option<Duration> {
        let wanted = self
            .probation_s
            .map_or(DEFAULT_PROBATION, Duration::from_secs);
        (!wanted.is_zero()).then_some(wanted)
    }
}

impl WaitFor {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_leader(&self) -> bool {
        *self == Self::Leader
    }
}
