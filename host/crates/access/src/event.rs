//! What the audit log holds.

use std::net::IpAddr;

use serde::Serialize;

/// What came of what a client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was not allowed.
    Refused,
    /// It was done.
    Done,
    /// It was allowed, and failed.
    Failed,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Event {
    /// The client's name; none if the node does not know it.
    pub who: Option<String>,
    /// What it wanted: a scope, or an action with its object.
    pub what: String,
    /// The address that it came from.
    pub from: Option<IpAddr>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, or how much.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Event {
    /// The same with texts of so many bytes at most.
    pub(crate) fn shortened(mut self, most: usize) -> Self {
        for text in [&mut self.what, &mut self.detail] {
            text.truncate(text.floor_char_boundary(most));
        }
        self
    }
}
