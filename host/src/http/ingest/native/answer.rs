//! The answers to acknowledged requests.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde::Serialize;

use crate::http::ingest::service::Settled;
use crate::http::problem::{EPOCH, Problem};
use crate::http::response::{JSON, TEXT, json_body};
use sluice_delivery::Rejection;

/// The answer for one message.
pub(super) fn single(settled: Settled) -> Result<Response, Problem> {
    match settled.rejected.into_iter().next() {
        Some(rejection) => Err(Problem::Refused(rejection.reason)),
        None => Ok(acknowledged(settled.epoch, TEXT, "OK".into())),
    }
}

/// The answer for many messages. `total` includes the rejected ones.
pub(in crate::http) fn many(epoch: u64, total: usize, rejected: &[Rejection]) -> Response {
    #[derive(Serialize)]
    struct Answer<'a> {
        accepted: usize,
        rejected: Vec<Place<'a>>,
    }
    #[derive(Serialize)]
    struct Place<'a> {
        index: usize,
        reason: &'a str,
    }
    let places = rejected.iter().map(|r| Place {
        index: r.index,
        reason: &r.reason,
    });
    let answer = Answer {
        accepted: total - rejected.len(),
        rejected: places.collect(),
    };
    acknowledged(epoch, JSON, json_body(&answer))
}

fn acknowledged(epoch: u64, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(EPOCH, HeaderValue::from(epoch));
    response
}
