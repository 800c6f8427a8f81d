//! What the web page shows of the whole cluster, whichever node serves it, and
//! what it can do.

mod actions;
mod asking;
mod context;
mod history;
mod latest;
mod letters;
mod overview;
mod own;
mod plugin;
mod problem;
mod query;
mod record_view;
mod scan;
mod shown;
mod tenures;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use context::{ClusterContext, ClusterParts};
pub(crate) use own::OwnNode;
pub(crate) use tenures::Tenures;

/// The routes for the page.
pub(super) fn routes(context: Arc<ClusterContext>) -> Router {
    Router::new()
        .route("/api/v1/cluster", get(overview::overview))
        .route("/api/v1/cluster/history", get(history::history))
        .route("/api/v1/plugin", get(plugin::plugin))
        .route("/api/v1/plugin/rollback", post(actions::roll_back))
        .route("/api/v1/step-down", post(actions::step_down))
        .route("/api/v1/rejects", get(letters::rejects))
        .route("/api/v1/dead-letters", get(letters::list))
        .route("/api/v1/dead-letters/{node}/{id}", get(letters::show))
        .route("/api/v1/dead-letters/replay", post(actions::replay))
        .route("/api/v1/dead-letters/purge", post(actions::purge))
        .with_state(context)
}
