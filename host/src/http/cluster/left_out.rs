//! Nodes that are missing in an answer.

use serde::{Deserialize, Serialize};

/// A node that did not answer as it should.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) node: String,
    pub(crate) error: String,
}
