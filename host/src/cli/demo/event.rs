//! What the parts of the demo report to the supervisor.

use std::time::Duration;

#[derive(Debug)]
pub(super) enum Event {
    /// The node with this index, counted from 0, runs as this process.
    NodeStarted { node: usize, pid: u32 },
    /// A sink printed this line.
    SinkPrinted(String),
    /// A message was acknowledged.
    Acknowledged(Acknowledgement),
    /// The message with this number was refused, or its time was over.
    Unacknowledged(u64),
    /// The producer has stopped.
    ProducerStopped,
}

/// How a message was acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    pub(super) number: u64,
    /// The node that led.
    pub(super) node: String,
    pub(super) epoch: String,
    /// From the first attempt to the acknowledgement.
    pub(super) took: Duration,
}
