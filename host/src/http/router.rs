//! Every route of a node.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_service::Service;

use super::admin::{AdminContext, health, history, metrics, status, streams};
use super::chosen::{is_in_path, take_prefix};
use super::cluster::{self, ClusterShared};
use super::ingest::{Ingest, Standard, baseline, native, standard};
use super::server::Routes;
use super::tail::{self, TailContext};
use super::ui;

/// The routes for people, and those of them that also work with `/streams/<s>` before
/// the path.
pub(crate) struct People {
    pub(crate) all: Router,
    pub(crate) of_streams: Router,
}

/// The routes for operators and monitors.
pub(crate) fn people(
    admin: Arc<AdminContext>,
    page: Arc<ClusterShared>,
    watched: Arc<TailContext>,
) -> People {
    let of_streams = Router::new()
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/history", get(history::history))
        .with_state(Arc::clone(&admin))
        .merge(cluster::of_streams(Arc::clone(&page)))
        .merge(tail::routes(Arc::clone(&watched)));
    let all = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/streams", get(streams::streams))
        .with_state(admin)
        .merge(of_streams.clone())
        .merge(cluster::routes(page))
        .merge(ui::routes());
    People { all, of_streams }
}

/// The routes for clients, for people and for other nodes, and the methods of gRPC.
/// With `with_baseline` there is one more, for benchmarks to compare with.
pub(crate) fn routes(
    ingest: Arc<Ingest>,
    standard: Arc<Standard>,
    people: People,
    peer: Router,
    with_baseline: bool,
) -> Routes {
    let for_calls = Arc::clone(&standard);
    let grpc = Router::new().fallback(move |request| call(Arc::clone(&for_calls), request));
    let audit = ingest.access().audit().clone();
    // One line per protocol.
    let mut protocols = Router::new().merge(native::routes());
    if with_baseline {
        protocols = protocols.merge(baseline::routes());
    }
    let protocols = protocols.with_state(ingest);
    let of_client = move |request| standard_or_unknown(Arc::clone(&standard), request);
    let of_streams = protocols
        .clone()
        .merge(people.of_streams)
        .fallback(of_client.clone());
    let http = protocols
        .merge(people.all)
        .merge(peer)
        .fallback(move |request| of_stream_or(of_streams.clone(), of_client.clone(), request));
    Routes { http, grpc, audit }
}

/// Routes a request again without the stream in its path, if it names one.
async fn of_stream_or<F: Future<Output = Response>>(
    mut of_streams: Router,
    otherwise: impl FnOnce(Request<Body>) -> F,
    mut request: Request<Body>,
) -> Response {
    match take_prefix(&mut request) {
        true => match of_streams.call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        },
        false => otherwise(request).await,
    }
}

async fn call(standard: Arc<Standard>, request: Request<Body>) -> Response {
    standard::of_caller(&standard, request).await
}

/// The protocols of other products find their requests themselves.
async fn standard_or_unknown(standard: Arc<Standard>, request: Request<Body>) -> Response {
    let is_root = request.uri().path() == "/" && !is_in_path(request.extensions());
    let answer = standard::of_client(&standard, request).await;
    // No protocol answers the first request of somebody at a browser.
    answer.unwrap_or_else(|| match is_root {
        true => ui::redirect(),
        false => unknown().into_response(),
    })
}

fn unknown() -> (StatusCode, Body) {
    let text = "no such route; there are POST /api/v1/log, POST /api/v1/logs, GET /healthz, \
                GET /readyz, GET /api/v1/status, GET /api/v1/streams, GET /api/v1/history, GET /api/v1/tail, \
                GET /metrics and GET /ui/";
    (StatusCode::NOT_FOUND, Body::from(text))
}
