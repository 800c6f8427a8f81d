//! The bodies of requests between nodes and of their answers.

use serde::{Deserialize, Serialize};

use sluice_leadership::Assistance;
use sluice_types::stream::DEFAULT_STREAM;

/// The answer of a node that does not have the stream of a request.
pub(crate) const NO_STREAM: &str = "this node has no such stream";
/// What stands before a stream's name in the query of a request.
const STREAM: &str = "stream=";

/// The path of a request for a stream. The default stream is not named.
pub(crate) fn for_stream(path: &str, stream: &str) -> String {
    match stream {
        DEFAULT_STREAM => path.to_owned(),
        named => format!("{path}?{STREAM}{named}"),
    }
}

/// The name of the stream that a request with this query is for.
pub(crate) fn stream_of(query: Option<&str>) -> &str {
    let mut pairs = query.unwrap_or_default().split('&');
    let named = pairs.find_map(|pair| pair.strip_prefix(STREAM));
    named.unwrap_or(DEFAULT_STREAM)
}

/// Asks a leader to hand over.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct StepDownRequest {
    /// The node that should lead next, if it matters which one.
    pub(crate) to: Option<String>,
    /// The highest epoch that was known when it was asked for. A tenure of the stream
    /// that began later goes on. Nodes of an earlier version want the tenure's own.
    pub(crate) epoch: u64,
}

/// The answer of a leader that hands over.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct StepDownAnswer {
    /// The epoch of the tenure that ends.
    pub(crate) epoch: u64,
    /// How long accepted requests may take to finish, in milliseconds.
    pub(crate) drain_ms: u64,
}

/// Asks a node to do something with the lock of another that does not reach
/// Consul.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AssistRequest {
    /// The stream whose lock it is about.
    pub(crate) stream: String,
    #[serde(flatten)]
    pub(crate) assistance: Assistance,
}

/// The answer to an [`AssistRequest`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Assisted {
    /// Whether it could be done, and the answer is yes.
    pub(crate) done: bool,
}

/// The answer to a request to remove dead letters.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Removed {
    /// How many of them existed.
    pub(crate) removed: u64,
}

/// What the leader took of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct TransferAnswer {
    /// All entries of the journal below this one are taken.
    pub(crate) taken: u64,
    /// Why not all were taken, if so.
    pub(crate) error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_other_than_the_default_one_is_named() {
        assert_eq!(for_stream("/a", DEFAULT_STREAM), "/a");
        assert_eq!(for_stream("/a", "b"), "/a?stream=b");
        assert_eq!(stream_of(None), DEFAULT_STREAM);
        assert_eq!(stream_of(Some("x=1")), DEFAULT_STREAM);
        assert_eq!(stream_of(Some("x=1&stream=b")), "b");
    }
}
