//! What can be set for requests.

use std::time::Duration;

use crate::once::Remembered;

/// The settings of the routes that take messages.
#[derive(Clone, Debug)]
pub(crate) struct IngestConfig {
    pub(crate) limits: IngestLimits,
    /// The most bytes that requests take until they wait in the queue, and
    /// answers until they are sent.
    pub(crate) memory: usize,
    pub(crate) follower: Follower,
    /// What is remembered of what clients sent.
    pub(crate) remembered: Remembered,
}

/// The limits on one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IngestLimits {
    /// Bytes of a body, also once it is decompressed.
    pub(crate) body: usize,
    /// From the head of a request to its answer.
    pub(crate) request: Duration,
    /// Records of one request.
    pub(crate) records: usize,
}

/// How a node that does not lead answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Follower {
    /// 307 to the leader.
    #[default]
    Redirect,
    /// Relay the request to the leader, and give its answer back.
    Forward,
    /// 400 `Not Leader`.
    Reject,
}
