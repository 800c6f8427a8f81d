//! Who takes a stream's requests right now.

use std::sync::Arc;

use sluice_delivery::Intake;
use sluice_types::documents::LeaderAddress;

/// Where a request for a stream goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// This node leads the stream and takes the request.
    Local(Arc<Intake>),
    /// Another node leads the stream.
    Leader(LeaderAddress),
    /// No leader is known.
    Unknown,
    /// This node is about to end.
    Stopping,
}
