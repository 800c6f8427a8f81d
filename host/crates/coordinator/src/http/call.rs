//! One request, its body still to be read.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, StatusCode};

use super::problem::Problem;
use super::query::Query;

/// The most bytes in the body of a request.
const MAX_BODY: usize = 512 * 1024;

/// The most bytes that are read of a body that is too large.
const MAX_READ: usize = 64 * MAX_BODY;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) query: Query,
    /// The body's length, if the request says it.
    pub(super) length: Option<u64>,
    body: Incoming,
}

impl Call {
    pub(super) fn new(request: Request<Incoming>, query: Query) -> Self {
        let (head, body) = request.into_parts();
        let length = head.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Self {
            method: head.method,
            query,
            length,
            body,
        }
    }

    /// Reads the body. `setting` is the name of Consul's setting for the limit,
    /// for the error.
    pub(super) async fn body(&mut self, setting: &str) -> Result<Bytes, Problem> {
        let too_large = |length: u64| {
            let text = format!(
                "Request body({length} bytes) too large, max size: {MAX_BODY} bytes. See \
                 https://www.consul.io/docs/agent/options.html#{setting}."
            );
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        };
        let most = MAX_BODY as u64;
        let mut body = Limited::new(&mut self.body, MAX_READ);
        let mut bytes = BytesMut::new();
        // A body that is too large is read too, because a client that is still
        // sending may not see the answer.
        while let Some(frame) = body.frame().await {
            // Either the body is longer than MAX_READ, or the client has disconnected.
            let frame = frame.map_err(|_| too_large(self.length.unwrap_or(most + 1)))?;
            match frame.into_data() {
                Ok(data) if bytes.len() <= MAX_BODY => bytes.extend_from_slice(&data),
                _ => {}
            }
        }
        let length = self.length.unwrap_or(bytes.len() as u64);
        if length > most {
            return Err(too_large(length));
        }
        Ok(bytes.freeze())
    }
}
