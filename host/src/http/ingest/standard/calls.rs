//! The handler of gRPC calls: what is different from other requests over HTTP.

use std::future::ready;

use axum::body::{Body, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use super::asked::Asked;
use super::clock::Clock;
use super::context::Standard;
use super::flow::Flow;
use super::otlp_grpc::{self, DETAILS, MESSAGE, STATUS};
use super::reply::response;
use sluice_protocols::answer::Verdict;

/// What a call takes besides what is charged elsewhere: its task, and a body and an
/// answer that are too short to be charged. A connection has many calls at a time.
const CALL_BYTES: usize = 16 << 10;
/// What a header takes besides its name and its value.
const HEADER_BYTES: usize = 64;

/// Answers a call.
pub(in crate::http) async fn of_caller(standard: &Standard, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked::of(&head);
    let stream = standard.ingest.stream_of(&head);
    drop(head);
    if !otlp_grpc::is_call(&asked) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let ingest = &*standard.ingest;
    let mut reservation = ingest.memory().reserve();
    let refuse = |verdict| response(otlp_grpc::answer(verdict).into(), ingest.memory());
    let answer = if reservation.spend(bytes_of(&asked)).is_err() {
        refuse(Verdict::Busy("too much is waiting to be delivered"))
    } else if let Some(exchange) = otlp_grpc::find(&asked) {
        let stream = match &stream {
            Ok(stream) => stream,
            Err(problem) => {
                let answer = refuse(Verdict::Unsupported(&problem.text()));
                return with_trailers(answer.unwrap_or_default());
            }
        };
        let span = ingest.span(asked.asking(exchange.protocol(), &stream.name));
        let flow = Flow {
            ingest,
            stream,
            exchange: &exchange,
            asked: &asked,
            clock: Clock::start(standard.park, ingest.limits.request),
            span: &span,
            client: None,
            relay: Some(&standard.relay),
        };
        let answer = flow.of_client(body).await;
        span.end(answer.as_ref().map(Response::status));
        answer
    } else {
        refuse(Verdict::Unsupported(
            "there is no such method here; logs are taken by the method Export of \
             opentelemetry.proto.collector.logs.v1.LogsService",
        ))
    };
    // A leader of another version may know no calls.
    let answer = answer.filter(|answer| answer.headers().contains_key(STATUS));
    let unknown = || refuse(Verdict::Unknown("the leader gave no answer of gRPC"));
    with_trailers(answer.or_else(unknown).unwrap_or_default())
}

/// What the head of a call and its task take.
fn bytes_of(asked: &Asked) -> usize {
    let header = |(name, value): (&HeaderName, _)| {
        let value: &axum::http::HeaderValue = value;
        name.as_str().len() + value.len() + HEADER_BYTES
    };
    CALL_BYTES + asked.headers.iter().map(header).sum::<usize>()
}

/// Moves what says how the call ended behind the message, if there is one.
fn with_trailers(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    // HTTP/2 has frames for what this says.
    headers.remove(CONNECTION);
    if answer.body().is_end_stream() {
        return answer;
    }
    let headers = answer.headers_mut();
    let mut trailers = HeaderMap::new();
    for name in [STATUS, MESSAGE, DETAILS].map(HeaderName::from_static) {
        if let Some(value) = headers.remove(&name) {
            trailers.insert(name, value);
        }
    }
    answer.map(|body| Body::new(body.with_trailers(ready(Some(Ok(trailers))))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocols::memory_budget::MemoryBudget;
    use sluice_protocols::rejected::Rejections;

    fn answered(verdict: Verdict<'_>) -> Response {
        let memory = MemoryBudget::new(1 << 20);
        with_trailers(response(otlp_grpc::answer(verdict).into(), &memory).unwrap())
    }

    #[tokio::test]
    async fn the_status_follows_the_message() {
        let rejections = &Rejections::default();
        let answer = answered(Verdict::Settled {
            total: 1,
            rejections,
        });
        assert!(!answer.headers().contains_key(STATUS));
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()[STATUS], "0");
        assert_eq!(body.to_bytes(), &b"\0\0\0\0\0"[..]);
    }

    #[tokio::test]
    async fn without_a_message_the_status_is_a_header() {
        let answer = answered(Verdict::Stopping);
        assert_eq!(answer.headers()[STATUS], "14");
        assert!(answer.headers().contains_key(DETAILS));
        assert!(answer.body().is_end_stream());
    }
}
