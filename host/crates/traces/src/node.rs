//! The node that exports spans.

/// Whose spans are exported.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name.
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    /// The version of the program.
    pub version: &'static str,
}
