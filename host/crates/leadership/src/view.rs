//! What the control thread publishes of its session and its epoch.

/// What the control side knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether a session is held.
    pub session: bool,
    /// The highest epoch that was seen.
    pub epoch: u64,
    /// Whether a session was let go of, which may hold the lock, and Consul
    /// has not heard it yet.
    pub releasing: bool,
}
