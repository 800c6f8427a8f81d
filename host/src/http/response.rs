//! Responses of a type.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const BINARY: &str = "application/octet-stream";
pub(super) const JSON: &str = "application/json";
pub(super) const EVENTS: &str = "text/event-stream";

/// Whether the headers of a request ask for this content type by name.
pub(super) fn accepts(asked: &HeaderMap, content_type: &str) -> bool {
    let accept = asked.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains(content_type))
}

/// A response with a body of this content type.
pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A response of plain text.
pub(super) fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    typed(status, TEXT, text)
}

/// `200 OK` with a JSON document.
pub(super) fn json(document: &impl Serialize) -> Response {
    typed(StatusCode::OK, JSON, json_body(document))
}

/// A JSON document as a body.
pub(super) fn json_body(document: &impl Serialize) -> Body {
    // Texts and numbers always have a JSON form.
    serde_json::to_vec(document).unwrap_or_default().into()
}
