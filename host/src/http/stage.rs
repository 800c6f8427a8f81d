//! How far the server's shutdown is.

/// How far the server's shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    /// No new connections; those that are open are answered.
    Closed,
    /// Open connections end after the request that is under way.
    Leaving,
}
