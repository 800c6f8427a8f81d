//! `GET /api/v1/streams`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::context::AdminContext;
use super::status::Status;
use crate::http::response::json;
use crate::stream::Stream;
use sluice_types::documents::{LeaderAddress, NodeDocument, NodeSink};
use sluice_types::plugin::Identity;

/// The streams that a node knows.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StreamsDocument {
    /// The node that answers.
    pub(crate) node: String,
    pub(crate) streams: Vec<StreamDocument>,
}

/// A stream as this node sees it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StreamDocument {
    pub(crate) name: String,
    /// What this node is for it.
    pub(crate) role: String,
    /// Who leads it, if that is known.
    pub(crate) leader: Option<LeaderAddress>,
    /// The highest epoch of the cluster that this node has seen.
    pub(crate) epoch: u64,
    /// The epoch under which the leader leads it, if that is known.
    #[serde(default)]
    pub(crate) tenure: Option<u64>,
    /// The sink that the leader has, or else that this node has.
    #[serde(default)]
    pub(crate) sink: Option<Identity>,
    /// The nodes that can lead it.
    #[serde(default)]
    pub(crate) able: Vec<String>,
    /// How many nodes are alive.
    #[serde(default)]
    pub(crate) nodes: usize,
}

/// `GET /api/v1/streams`: the streams of this node, and who leads each.
pub(in crate::http) async fn streams(State(admin): State<Arc<AdminContext>>) -> Response {
    // A stream of its own knows only what nodes say of it.
    let all = &admin.streams.default_stream().controls.peers;
    let documents = all.documents().borrow().clone().unwrap_or_default();
    let streams = admin.streams.all();
    let streams = streams
        .iter()
        .map(|stream| StreamDocument::of(&admin.node, stream, &documents));
    json(&StreamsDocument {
        node: admin.node.clone(),
        streams: streams.collect(),
    })
}

impl StreamDocument {
    /// A stream as this node, and what nodes say of themselves, show it.
    pub(in crate::http) fn of(node: &str, stream: &Stream, documents: &[NodeDocument]) -> Self {
        let name = stream.name.as_str();
        let status = Status::of(node, stream);
        let leader = status.leader.map(|leader| LeaderAddress {
            // The lock's key may hold a bare host, without the node's name.
            node: match stream.controls.peers.name_at(&leader.address) {
                Some(name) => name,
                None => leader.node,
            },
            address: leader.address,
        });
        let of_leader = documents
            .iter()
            .find(|document| leader.as_ref().is_some_and(|it| it.node == document.node));
        let tenure = status.tenure;
        let is_able = |document: &&NodeDocument| {
            let of_stream = document.for_stream(name);
            of_stream.is_some_and(|of_stream| of_stream.eligible)
        };
        let able = documents.iter().filter(is_able);
        Self {
            name: name.to_owned(),
            role: status.role,
            epoch: status.epoch,
            tenure: tenure.or_else(|| of_leader?.tenures.get(name).copied()),
            sink: of_leader
                .and_then(|document| document.for_stream(name)?.sink)
                .map(|NodeSink { plugin, .. }| plugin)
                .or(Some(status.plugin.active.name)),
            able: able.map(|document| document.node.clone()).collect(),
            nodes: documents.len(),
            leader,
        }
    }
}
