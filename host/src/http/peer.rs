//! The routes, and the check that comes before each.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::hex::unhex;
use crate::http::ingest::Ingest;
use crate::peer::wire::{Removed, StepDownAnswer, StepDownRequest};
use crate::peer::{SIGNATURE, Secret, is_recent};
use crate::stream::Route;
use crate::stream::{JournalReceiver, ReceiveError};
use sluice_delivery::{Chunk, DeadLetters, JournalId};
use sluice_leadership::StepDown;
use sluice_types::error_chain::chain;
use sluice_types::record::LogRecord;
use sluice_types::record_document::RecordDocument;

/// How long a leader that hands over leaves the lock to the others, if none
/// takes it.
const STAY_OUT: Duration = Duration::from_secs(10);

/// The largest body that internal requests need, in bytes, where clients may
/// send `body`: a record can be as large, and has more about it in its other
/// forms.
#[must_use]
pub fn largest(body: usize) -> usize {
    (2 * body).max(32 << 20)
}

/// What the internal routes need.
#[derive(Clone, Debug)]
pub struct PeerContext {
    /// The largest body of a request, in bytes.
    pub largest: usize,
    /// What requests must be signed with.
    pub secret: watch::Receiver<Option<Secret>>,
    /// This node's dead letters.
    pub letters: DeadLetters,
    /// Takes records in.
    pub ingest: Arc<Ingest>,
    /// Takes journals over.
    pub takeover: Arc<JournalReceiver>,
    /// Asks this node's tenure to hand over.
    pub step_down: watch::Sender<Option<StepDown>>,
    /// How long it may take to finish then.
    pub drain: Duration,
}

/// The internal routes.
pub fn router(internal: Arc<PeerContext>) -> Router {
    Router::new()
        .route("/internal/v1/dead-letters", get(list))
        .route("/internal/v1/dead-letters/remove", post(remove))
        .route("/internal/v1/records", post(records))
        .route("/internal/v1/handover/{journal}", post(handover))
        .route("/internal/v1/step-down", post(step_down))
        .with_state(internal)
}

/// The body of a request that is signed as it should be.
async fn admitted(internal: &PeerContext, request: Request<Body>) -> Result<Bytes, Response> {
    let (head, body) = request.into_parts();
    let secret = internal.secret.borrow().clone();
    let Some(secret) = secret else {
        let text = "this node does not know the cluster's secret yet";
        return Err(plain(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let header = head.headers.get(SIGNATURE);
    let header = header.and_then(|header| header.to_str().ok());
    // Who signs nothing is not even listened to.
    let header = header.filter(|header| is_recent(header));
    let body = match header {
        Some(_) => internal.ingest.read_bounded(body, internal.largest).await?,
        None => Bytes::new(),
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let is_signed = header.is_some_and(|h| secret.verifies(h, head.method.as_str(), path, &body));
    if is_signed {
        Ok(body)
    } else {
        let text = "not signed with the cluster's secret, or a clock is wrong by a minute";
        Err(plain(StatusCode::UNAUTHORIZED, text))
    }
}

async fn list(State(internal): State<Arc<PeerContext>>, request: Request<Body>) -> Response {
    if let Err(response) = admitted(&internal, request).await {
        return response;
    }
    let letters = internal.letters.clone();
    match tokio::task::spawn_blocking(move || letters.list()).await {
        Ok(Ok(letters)) => json(&letters),
        Ok(Err(error)) => plain(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error)),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error)),
    }
}

async fn remove(State(internal): State<Arc<PeerContext>>, request: Request<Body>) -> Response {
    let body = match admitted(&internal, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let ids: Vec<String> = match serde_json::from_slice(&body) {
        Ok(ids) => ids,
        Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match internal.letters.remove(ids).await {
        Ok(removed) => json(&Removed { removed }),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error)),
    }
}

/// Records in the form that loses nothing, with the ids that they have.
async fn records(State(internal): State<Arc<PeerContext>>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let body = match admitted(&internal, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match serde_json::from_slice::<Vec<RecordDocument>>(&body) {
        Ok(forms) => {
            let records = forms.into_iter().map(LogRecord::from).collect();
            internal.ingest.take(records, &headers).await
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Frames of the journal that is named in the path.
async fn handover(
    State(internal): State<Arc<PeerContext>>,
    Path(journal): Path<String>,
    request: Request<Body>,
) -> Response {
    let body = match admitted(&internal, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let id = unhex(&journal).and_then(|id| id.try_into().ok());
    let (Some(id), Some(chunk)) = (id, Chunk::from_frames(body)) else {
        return plain(StatusCode::BAD_REQUEST, "not frames of a journal");
    };
    match internal.takeover.take(JournalId(id), chunk).await {
        Ok(handed) => json(&handed),
        Err(ReceiveError(reason)) => plain(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// Begins a hand-over; the answer does not wait for its end.
async fn step_down(State(internal): State<Arc<PeerContext>>, request: Request<Body>) -> Response {
    let body = match admitted(&internal, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let StepDownRequest { to } = match serde_json::from_slice(&body) {
        Ok(wished) => wished,
        Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let route = internal.ingest.route.borrow().clone();
    let Route::Local(queue) = route else {
        return plain(StatusCode::CONFLICT, "this node does not lead");
    };
    let epoch = queue.epoch();
    tracing::info!(epoch, to, "asked to hand over");
    internal.step_down.send_replace(Some(StepDown {
        epoch,
        stay_out: STAY_OUT,
        until_taken: true,
        to,
    }));
    let drain_ms = u64::try_from(internal.drain.as_millis()).unwrap_or(u64::MAX);
    json(&StepDownAnswer { epoch, drain_ms })
}

fn json(value: &impl Serialize) -> Response {
    // Texts and numbers always have a JSON form.
    let body = serde_json::to_vec(value).unwrap_or_default();
    typed(StatusCode::OK, "application/json", body.into())
}

fn plain(status: StatusCode, text: &str) -> Response {
    typed(
        status,
        "text/plain; charset=utf-8",
        Body::from(text.to_owned()),
    )
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
