//! What the control thread publishes of its session, its epoch and its tenures.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stream_name::StreamName;

/// The session and the epoch, as the status and the health check need them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether this node has a session for its locks.
    pub session: bool,
    /// The highest epoch that this node has seen.
    pub epoch: u64,
    /// Whether a session that this node has given up may still hold a lock:
    /// Consul has not confirmed its end.
    pub releasing: bool,
    /// The streams that this node leads, with the epochs under which it does.
    pub leads: Arc<BTreeMap<StreamName, u64>>,
}
