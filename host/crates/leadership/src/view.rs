//! What the control thread publishes of its session and its epoch.

/// The session and the epoch, as the status and the health check need them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether this node has a session for the lock.
    pub session: bool,
    /// The highest epoch that this node has seen.
    pub epoch: u64,
    /// Whether a session that this node has given up may still hold the lock:
    /// Consul has not confirmed its end.
    pub releasing: bool,
}
