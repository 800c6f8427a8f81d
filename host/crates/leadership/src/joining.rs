//! A stream that a node begins to take part in.

use std::sync::Arc;

use tokio::sync::watch;

use super::peers::Peers;
use super::role::Role;
use super::stream_name::StreamName;
use sluice_types::documents::{ActiveDocument, NodeDocument};

/// What the control thread needs of a stream other than the default one, and what it
/// publishes to it.
#[derive(Debug)]
pub struct Joining {
    pub(super) stream: StreamName,
    /// What this node reports about its sink.
    pub(super) state: watch::Receiver<NodeDocument>,
    /// What it reports about the sink that runs while it leads.
    pub(super) active: watch::Receiver<Option<ActiveDocument>>,
    pub(super) role: watch::Sender<Role>,
    /// What all nodes report about this stream.
    pub(super) nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    pub(super) peers: Peers,
}
