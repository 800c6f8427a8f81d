//! Every route of a node.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;

use super::admin::{AdminContext, health, metrics, status};
use super::ingest::{Ingest, baseline, native};

/// The routes for clients, operators, monitors and other nodes. With
/// `with_baseline` there is one more, for benchmarks to compare with.
pub(crate) fn router(
    ingest: Arc<Ingest>,
    admin: Arc<AdminContext>,
    peer: Router,
    with_baseline: bool,
) -> Router {
    // One line per protocol.
    let mut protocols = Router::new().merge(native::routes());
    if with_baseline {
        protocols = protocols.merge(baseline::routes());
    }
    let admin = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/v1/status", get(status::status))
        .route("/metrics", get(metrics::metrics))
        .with_state(admin);
    protocols
        .with_state(ingest)
        .merge(admin)
        .merge(peer)
        .fallback(unknown)
}

async fn unknown() -> (StatusCode, Body) {
    let text = "no such route; there are POST /api/v1/log, POST /api/v1/logs, GET /healthz, \
                GET /readyz, GET /api/v1/status and GET /metrics";
    (StatusCode::NOT_FOUND, Body::from(text))
}
