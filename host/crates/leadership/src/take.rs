//! An attempt to take the lock.

/// Takes the lock with the next epoch, if nothing has changed since a
/// consistent read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Take {
    /// The session that is to hold the lock.
    pub(super) session: String,
    /// The index at which the lock's key was last written; `None`: it was
    /// absent.
    pub(super) expected: Option<u64>,
    /// The epoch to write.
    pub(super) epoch: u64,
    /// The index at which the epoch was last written; 0: it was absent.
    pub(super) epoch_index: u64,
    /// The index of the named successor, if there is one: it is deleted.
    pub(super) successor_index: Option<u64>,
    /// The flags to write.
    pub(super) flags: u64,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// This node holds the lock, as of this index.
    Won { modify_index: u64 },
    /// Something had changed.
    Lost,
    /// The session does not exist.
    InvalidSession,
    /// This node is not permitted to take the lock.
    Denied,
    /// No answer: this node may hold the lock.
    Unknown,
}
