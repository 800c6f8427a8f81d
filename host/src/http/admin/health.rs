//! Whether a node lives, and whether it is ready.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::context::AdminContext;
use crate::http::response::plain;
use crate::stream::Stream;
use sluice_types::plugin::PluginPhase;

/// `GET /healthz`: whether the control loops run.
pub(in crate::http) async fn healthz(State(admin): State<Arc<AdminContext>>) -> Response {
    let is_alive = |stream: &Arc<Stream>| stream.controls.heartbeat.is_alive();
    let unhealthy =
        (!admin.streams.iter().all(is_alive)).then_some("the control loop makes no progress");
    answer(unhealthy)
}

/// `GET /readyz`: whether the node can serve its role.
pub(in crate::http) async fn readyz(State(admin): State<Arc<AdminContext>>) -> Response {
    answer(admin.streams.iter().find_map(|stream| unready(stream)))
}

/// What keeps a stream from serving, if anything.
fn unready(stream: &Stream) -> Option<&'static str> {
    let journal = stream.journal.as_ref().map(|journal| journal.status());
    if stream.is_stopping() {
        Some("the node is stopping")
    } else if !stream.controls.view.borrow().session {
        Some("no session with Consul")
    } else if stream.plugin.borrow().active.state == PluginPhase::Failed {
        Some("the sink could not be opened")
    } else if journal.is_some_and(|journal| journal.failure.is_some()) {
        Some("the journal cannot be written")
    } else {
        None
    }
}

fn answer(problem: Option<&'static str>) -> Response {
    match problem {
        None => plain(StatusCode::OK, "OK"),
        Some(problem) => plain(StatusCode::SERVICE_UNAVAILABLE, problem),
    }
}
