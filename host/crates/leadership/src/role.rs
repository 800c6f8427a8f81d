//! What this node is to the cluster.

use std::sync::Arc;

use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Lease;

/// What this node is to the cluster.
#[derive(Clone, Debug)]
pub enum Role {
    /// Another node leads, or none.
    Follower {
        /// Who, if it is known.
        leader: Option<LeaderAddress>,
    },
    /// This node leads, as far as the lease allows.
    Leader(Arc<Lease>),
}
