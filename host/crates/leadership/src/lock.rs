//! The keys of the election, as a read of the coordinator showed them.

/// `Flags` of a lock that was released after its holder had stopped.
pub const CLEAN: u64 = 1;
/// No node counts that far: a higher epoch was written by hand.
pub(super) const NO_EPOCH: u64 = u64::MAX / 2;

/// The lock as a read showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lock {
    /// The index of the read, to wait beyond.
    pub(super) index: u64,
    pub(super) key: Option<Key>,
}

/// The lock's key, if it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) modify_index: u64,
    pub(super) session: Option<String>,
    pub(super) flags: u64,
    pub(super) value: Vec<u8>,
}

impl Lock {
    pub(super) fn holder(&self) -> Option<&str> {
        self.key.as_ref().and_then(|key| key.session.as_deref())
    }
}

/// The epoch's key as a read showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    /// 0 if there is none.
    pub(super) value: u64,
    /// 0 if there is none.
    pub(super) modify_index: u64,
}

/// The node that the last leader named to lead next, as its key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) node: String,
    pub(super) modify_index: u64,
}

/// What consistent reads showed to a node that wants to take the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) lock: Lock,
    pub(super) epoch: Epoch,
    pub(super) successor: Option<Successor>,
}
