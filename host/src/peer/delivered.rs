//! Records that a node sends to the leader for clients that speak other protocols
//! than HTTP, and what became of them.
//!
//! The body of the request is a [`DeliveryHead`] and, behind it, the records in the
//! form that a journal has on disk.

use serde::{Deserialize, Serialize};

use sluice_types::rejection::Rejection;

/// What stands before the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct DeliveryHead {
    /// How long the node waits for the outcome, in milliseconds.
    pub(crate) wait_ms: u64,
}

/// The leader's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum DeliveryAnswer {
    /// All are acknowledged but these, which are refused for good.
    Settled(Vec<Refused>),
    /// None was offered to the sink, for this reason.
    NotTaken(String),
    /// Some may have been delivered.
    Unknown(String),
}

/// A record that is refused for good. Its reason is with the dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Refused {
    /// Its place among the records.
    pub(crate) index: usize,
    /// Whether it is kept as a dead letter.
    pub(crate) is_kept: bool,
}

/// Which records were refused.
pub(crate) fn refusals(rejected: &[Rejection]) -> Vec<Refused> {
    let refused = rejected.iter().map(|rejection| Refused {
        index: rejection.index,
        is_kept: rejection.is_kept,
    });
    refused.collect()
}
