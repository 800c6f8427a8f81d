//! What does not change during an election.

use std::ops::Range;
use std::time::Duration;

/// The least that the counter of epochs leaps by when the coordinator has forgotten it.
pub const LEAST_LEAP: u64 = 1_000;
/// A node's leap is drawn from these.
const LEAPS: Range<u64> = LEAST_LEAP..1_000_000;
/// A node's jitter is drawn from these, in milliseconds.
const JITTER_MS: Range<u64> = 0..100;

/// What does not change during an election.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// This node's name.
    pub(super) node: String,
    /// How long a proof is valid.
    pub(super) lease: Duration,
    /// Added to this node's waits, so that nodes do not retry in step.
    pub(super) jitter: Duration,
    /// How far above the highest known epoch this node continues when the
    /// coordinator has forgotten it. Other nodes may have seen epochs that
    /// this one has not, and may have leapt themselves: so it is large, and
    /// differs from node to node.
    pub(super) leap: u64,
}

impl Settings {
    /// Settings with a jitter and a leap of this process's own.
    pub(super) fn random(node: String, lease: Duration) -> Self {
        Self {
            node,
            lease,
            jitter: Duration::from_millis(rand::random_range(JITTER_MS)),
            leap: rand::random_range(LEAPS),
        }
    }
}
