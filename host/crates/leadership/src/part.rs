//! The part that a node takes in the election of one stream.

use tokio::task::JoinSet;

use super::peers::Peers;
use super::publisher::Publisher;

/// A stream that the node takes part in.
pub(super) struct Part {
    pub(super) publisher: Publisher,
    pub(super) peers: Peers,
    /// Whether the lock is left to a node that is better prepared.
    pub(super) is_yielding: bool,
    /// What runs for the stream while this node takes part.
    _tasks: JoinSet<()>,
}

impl Part {
    pub(super) const fn new(publisher: Publisher, peers: Peers, tasks: JoinSet<()>) -> Self {
        Self {
            publisher,
            peers,
            is_yielding: false,
            _tasks: tasks,
        }
    }
}
