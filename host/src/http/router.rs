//! Every route of a node.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::admin::{self, AdminContext};
use super::ingest::Ingest;
use super::ingest::handlers;

/// The routes for clients, operators and monitors. With `baseline` there is
/// one more: `POST /bench/baseline`, which reads the body and answers `OK`, for
/// benchmarks to compare with.
pub fn router(
    ingest: Arc<Ingest>,
    observer: Arc<AdminContext>,
    peer: Router,
    baseline: bool,
) -> Router {
    let mut accepting = Router::new()
        .route("/api/v1/log", post(handlers::log))
        .route("/api/v1/logs", post(handlers::logs));
    if baseline {
        accepting = accepting.route("/bench/baseline", post(handlers::baseline));
    }
    let observing = Router::new()
        .route("/healthz", get(admin::healthz))
        .route("/readyz", get(admin::readyz))
        .route("/api/v1/status", get(admin::status))
        .route("/metrics", get(admin::metrics))
        .with_state(observer);
    accepting
        .with_state(ingest)
        .merge(observing)
        .merge(peer)
        .fallback(unknown)
}

async fn unknown() -> (StatusCode, Body) {
    let text = "no such route; there are POST /api/v1/log, POST /api/v1/logs, GET /healthz, \
                GET /readyz, GET /api/v1/status and GET /metrics";
    (StatusCode::NOT_FOUND, Body::from(text))
}
