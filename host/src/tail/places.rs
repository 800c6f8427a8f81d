//! How many may watch at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most clients that watch a node at a time.
const CLIENTS_MAX: usize = 16;
/// The most clients of other nodes for which these watch a node.
const NODES_MAX: usize = 64;

/// The places for those that watch a node.
#[derive(Debug)]
pub(crate) struct Places {
    clients: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
}

/// So many watch already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full(pub(crate) usize);

impl Default for Places {
    fn default() -> Self {
        Self {
            clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
            nodes: Arc::new(Semaphore::new(NODES_MAX)),
        }
    }
}

impl Places {
    /// A place for a client of this node, or for one of another node, until it is
    /// dropped.
    ///
    /// # Errors
    /// All are taken.
    pub(super) fn take(&self, is_of_this_node: bool) -> Result<OwnedSemaphorePermit, Full> {
        let (places, most) = match is_of_this_node {
            true => (&self.clients, CLIENTS_MAX),
            false => (&self.nodes, NODES_MAX),
        };
        let place = Arc::clone(places).try_acquire_owned();
        place.map_err(|_| Full(most))
    }
}
