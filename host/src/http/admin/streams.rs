//! `GET /api/v1/streams`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::context::AdminContext;
use super::status::Status;
use crate::http::response::json;
use sluice_types::documents::LeaderAddress;

/// The streams that a node knows.
#[derive(Debug, Serialize)]
struct StreamsDocument {
    node: String,
    streams: Vec<StreamDocument>,
}

/// A stream as this node sees it.
#[derive(Debug, Serialize)]
struct StreamDocument {
    name: String,
    /// What this node is for it.
    role: String,
    /// Who leads it, if that is known.
    leader: Option<LeaderAddress>,
    /// The highest epoch that this node has seen.
    epoch: u64,
}

/// `GET /api/v1/streams`: the streams of this node, and who leads each.
pub(in crate::http) async fn streams(State(admin): State<Arc<AdminContext>>) -> Response {
    let streams = admin.streams.all().into_iter().map(|stream| {
        let status = Status::of(&admin.node, &stream);
        StreamDocument {
            name: stream.name.clone(),
            role: status.role,
            leader: status.leader,
            epoch: status.epoch,
        }
    });
    json(&StreamsDocument {
        node: admin.node.clone(),
        streams: streams.collect(),
    })
}
