//! `POST /bench/baseline`: the same way in and out, with nothing in between.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use axum::routing::post;
use tokio::time::sleep;

use super::service::Ingest;

/// The routes of benchmarks.
pub(in crate::http) fn routes() -> Router<Arc<Ingest>> {
    Router::new().route("/bench/baseline", post(baseline))
}

async fn baseline(State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    let stream = ingest.stream();
    let (head, body) = request.into_parts();
    let mut deadline = pin!(sleep(ingest.limits.request));
    let headers = &head.headers;
    let reader = ingest.reader(ingest.limits.body);
    let received = reader.receive(headers, body, deadline.as_mut()).await;
    let answer = match received {
        Ok(received) => received.unpacked(deadline).await,
        Err(problem) => Err(problem),
    };
    let answer = answer.map(|_| Response::new(Body::from("OK")));
    ingest.answer(stream, answer, headers)
}
