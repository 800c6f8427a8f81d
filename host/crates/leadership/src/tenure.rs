//! A tenure of this node as the leader.

/// The tenure of this node, as Consul knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) epoch: u64,
    /// The session that holds the lock.
    pub(super) session: String,
}
