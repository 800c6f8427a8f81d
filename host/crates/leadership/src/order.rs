//! What the control thread can be told to do.

use std::sync::Arc;
use std::time::Duration;

use super::joining::Joining;

/// An order to release the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDown {
    /// The epoch of the tenure that is to end; another tenure goes on.
    pub epoch: u64,
    /// How long this node leaves the lock to others.
    pub stay_out: Duration,
    /// Whether that is over once another node has taken it.
    pub until_taken: bool,
    /// The node that should take it. Any node may if none is named, or if the
    /// named one does not take it within some seconds.
    pub to: Option<String>,
}

/// An order that is about one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamOrder {
    /// Whether this node can lead: its sink is prepared. If it can, it no
    /// longer leaves the lock to others.
    Eligible(bool),
    /// Whether a lock that becomes free is left to another node for a moment: the
    /// streams spread over the nodes that way.
    Hesitate(bool),
    /// Release the lock. From now on nothing is acknowledged.
    StepDown(StepDown),
}

/// An order to the control thread.
#[derive(Debug)]
pub enum Order {
    /// About the stream of this name.
    Stream(Arc<str>, StreamOrder),
    /// Take part in the election of another stream.
    Join(Box<Joining>),
    /// Release the lock of this stream, and do not take part in its election any more.
    Leave(Arc<str>),
    /// Release the locks, end all sessions, and leave the cluster.
    Shutdown,
}
