//! What the web page shows of the whole cluster, whichever node serves it, and
//! what it can do.

mod action_documents;
mod actions;
mod asking;
mod context;
mod debug;
mod history;
mod latest;
mod left_out;
mod letters;
mod overview;
mod own;
mod plugin;
mod problem;
mod query;
mod record_view;
mod report;
mod running;
mod scan;
mod shown;
mod stream_rows;
mod streams;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::Request;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

pub(crate) use action_documents::{Choice, Chosen, Purged, Replayed, RollBack, RolledBack};
pub(crate) use context::{ClusterParts, ClusterShared};
pub(crate) use left_out::LeftOut;
pub(crate) use letters::{FoundLetter, LISTED_MAX, LetterList, RejectList};
pub(crate) use overview::Overview;
pub(crate) use own::OwnNode;
pub(crate) use plugin::{Asked, Change, PluginView};
pub(crate) use report::{NodeReport, Reporter, ReporterParts, StreamPart, Versions};

/// The route for bug reports.
pub(super) fn routes(context: Arc<ClusterShared>) -> Router {
    Router::new()
        .route("/api/v1/debug", read(&context, debug::debug))
        .with_state(context)
}

/// Those of them that also work with `/streams/<s>` before the path.
pub(super) fn of_streams(context: Arc<ClusterShared>) -> Router {
    Router::new()
        .route("/api/v1/cluster", read(&context, overview::overview))
        .route("/api/v1/cluster/history", read(&context, history::history))
        .route("/api/v1/cluster/streams", get(streams::streams))
        .route("/api/v1/plugin", read(&context, plugin::plugin))
        .route("/api/v1/plugin/rollback", post(actions::roll_back))
        .route("/api/v1/step-down", post(actions::step_down))
        .route("/api/v1/rejects", read(&context, letters::rejects))
        .route("/api/v1/dead-letters", read(&context, letters::list))
        .route(
            "/api/v1/dead-letters/{node}/{id}",
            read(&context, letters::show),
        )
        .route("/api/v1/dead-letters/replay", post(actions::replay))
        .route("/api/v1/dead-letters/purge", post(actions::purge))
        .with_state(context)
}

/// A route that only those see who may read.
fn read<H, T>(context: &Arc<ClusterShared>, handler: H) -> MethodRouter<Arc<ClusterShared>>
where
    H: Handler<T, Arc<ClusterShared>>,
    T: 'static,
{
    get(handler).route_layer(from_fn_with_state(Arc::clone(context), readers))
}

async fn readers(
    State(context): State<Arc<ClusterShared>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    match context.check_reader(&head) {
        Ok(_) => next.run(Request::from_parts(head, body)).await,
        Err(problem) => problem.response(&head.headers),
    }
}
