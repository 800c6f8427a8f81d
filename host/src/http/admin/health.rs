//! Whether a node lives, and whether it is ready.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::context::AdminContext;
use super::delivery_status::StallStatus;
use crate::http::response::plain;
use crate::stream::Stream;
use sluice_delivery::Stall;
use sluice_types::plugin::PluginPhase;
use sluice_types::stream::DEFAULT_STREAM;

/// With `--ack sink`, a node is not ready while its delivery has stalled for this
/// long: less than a request may take by default, so that one request shows it.
const STALL_LIMIT: Duration = Duration::from_secs(10);

/// `GET /healthz`: whether the control loops run.
pub(in crate::http) async fn healthz(State(admin): State<Arc<AdminContext>>) -> Response {
    let is_alive = |stream: &Arc<Stream>| stream.controls.heartbeat.is_alive();
    let unhealthy =
        (!admin.streams.all().iter().all(is_alive)).then_some("the control loop makes no progress");
    answer(unhealthy.map_or(Ok(None), |problem| Err(problem.to_owned())))
}

/// `GET /readyz`: whether the node can serve its role.
pub(in crate::http) async fn readyz(State(admin): State<Arc<AdminContext>>) -> Response {
    let mut note = None;
    for stream in admin.streams.all() {
        let stall = stream.stall();
        match unready(&stream, stall.as_ref()) {
            // A node that cannot serve one stream of many serves the others.
            Some(problem) if stream.name == DEFAULT_STREAM => return answer(Err(problem)),
            Some(problem) => note = note.or(Some(format!("stream {}: {problem}", stream.name))),
            None => note = note.or(stall.map(said)),
        }
    }
    answer(Ok(note))
}

/// What keeps a stream from serving, if anything.
fn unready(stream: &Stream, stall: Option<&Stall>) -> Option<String> {
    if let Some(problem) = not_serving(stream) {
        return Some(problem.to_owned());
    }
    // With a journal, requests are answered all the same.
    let is_too_long = |stall: &&Stall| stall.duration() >= STALL_LIMIT;
    let stall = stall.filter(is_too_long)?;
    stream.waits_for_sink().then(|| said(stall.clone()))
}

fn said(stall: Stall) -> String {
    StallStatus::from(stall).to_string()
}

/// What keeps a stream from taking requests, if anything.
fn not_serving(stream: &Stream) -> Option<&'static str> {
    let journal = stream.journal_status();
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

/// `Err` says what is wrong. `Ok` may hold a note for people.
fn answer(result: Result<Option<String>, String>) -> Response {
    match result {
        Ok(None) => plain(StatusCode::OK, "OK"),
        Ok(Some(note)) => plain(StatusCode::OK, format!("OK\n{note}")),
        Err(problem) => plain(StatusCode::SERVICE_UNAVAILABLE, problem),
    }
}
