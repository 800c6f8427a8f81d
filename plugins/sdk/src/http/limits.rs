//! The bounds of a client.

use std::time::Duration;

/// What bounds the requests of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a request may take until its answer is complete.
    pub(crate) timeout: Duration,
    /// How long all requests of a call may take.
    pub(crate) budget: Duration,
    /// How many bytes of an answer's body are read.
    pub(crate) max_answer: usize,
}
