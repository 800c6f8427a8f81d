//! What this node can do with a request right now.

use std::sync::Arc;

use sluice_delivery::Intake;
use sluice_types::leader::LeaderAddress;

/// Where requests go.
#[derive(Clone, Debug)]
pub enum Door {
    /// This node leads.
    Open(Arc<Intake>),
    /// Another one does.
    Elsewhere(LeaderAddress),
    /// Nobody does, as far as is known.
    Nowhere,
    /// This node is about to end.
    Stopping,
}
