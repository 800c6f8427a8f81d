//! Whether this node leads.

use std::sync::Arc;

use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Lease;

/// Whether this node leads.
#[derive(Clone, Debug)]
pub enum Role {
    /// This node does not lead.
    Follower {
        /// The node that does, if it is known.
        leader: Option<LeaderAddress>,
    },
    /// This node leads; the lease says until when it may write and acknowledge.
    Leader(Arc<Lease>),
}
