//! What a node says of itself.

use serde::Deserialize;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeState {
    /// Its name.
    pub node: String,
    /// Where clients reach it, `host:port`.
    #[serde(default)]
    pub address: String,
    /// Whether the sink that is asked for is prepared, and opened when it was
    /// last tried.
    #[serde(default = "yes")]
    pub able: bool,
    /// Why not.
    #[serde(default)]
    pub error: Option<String>,
    /// The highest epoch that it has seen.
    #[serde(default)]
    pub epoch: u64,
}

const fn yes() -> bool {
    true
}
