//! The bodies of requests between nodes and of their answers.

use serde::{Deserialize, Serialize};

/// What a leader is asked to hand over with.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct StepDownRequest {
    /// Who comes next, if it matters.
    pub to: Option<String>,
}

/// What a leader that hands over says.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct StepDownAnswer {
    /// Of the tenure that ends.
    pub epoch: u64,
    /// How long what was accepted may take to finish, in milliseconds.
    pub drain_ms: u64,
}

/// How many dead letters were removed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Removed {
    /// Those that were there.
    pub removed: u64,
}

/// What the leader took over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TransferAnswer {
    /// Every entry of the other journal below this one.
    pub taken: u64,
    /// Why not all, if so.
    pub error: Option<String>,
}
