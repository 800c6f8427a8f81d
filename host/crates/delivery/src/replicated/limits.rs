//! The bounds of a replicated journal.

/// The bounds of a replicated journal.
#[derive(Clone, Copy, Debug)]
pub struct ReplicatedLimits {
    /// The size of the log at which nothing more is taken in.
    pub bytes: u64,
    /// Bytes that may wait to be stored.
    pub pending: usize,
    /// Requests that may wait to be stored.
    pub requests: usize,
}
