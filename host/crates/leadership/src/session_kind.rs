//! What a session is for.

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// It holds the lock. When it ends, the lock is free and its key stays.
    Lock,
    /// It holds the key of a node that is alive, which is deleted with it.
    Presence,
}
