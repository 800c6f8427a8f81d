//! Connections that are closed without an answer.

use std::fmt;

use axum::body::Body;
use axum::response::Response;

/// Marks a response that must not be sent: the connection is closed instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoAnswer;

impl NoAnswer {
    /// A response with the mark.
    pub(super) fn response() -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Self);
        response
    }

    /// Whether a response has the mark.
    pub(super) fn marks(response: &Response) -> bool {
        response.extensions().get::<Self>().is_some()
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client would lose what it sent with any answer")
    }
}

impl std::error::Error for NoAnswer {}
