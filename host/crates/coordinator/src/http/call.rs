//! One request.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, StatusCode};

use super::answer::Problem;
use super::query::Query;

/// The most bytes of a value, and of a transaction.
const LARGEST: usize = 512 * 1024;

/// The most bytes of a body that are read, if only to be dropped.
const READ: usize = 64 * LARGEST;

/// What is asked.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) query: Query,
    /// The body's length, where it is said before.
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

    /// The body; `setting` is Consul's that bounds it.
    pub(super) async fn body(&mut self, setting: &str) -> Result<Bytes, Problem> {
        let too_large = |length: u64| {
            let text = format!(
                "Request body({length} bytes) too large, max size: {LARGEST} bytes. See \
                 https://www.consul.io/docs/agent/options.html#{setting}."
            );
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        };
        let most = LARGEST as u64;
        let mut body = Limited::new(&mut self.body, READ);
        let mut bytes = BytesMut::new();
        // What is too large is read too: a client that still sends when the
        // answer comes may not see it.
        while let Some(frame) = body.frame().await {
            // More than is read, or the client has gone.
            let frame = frame.map_err(|_| too_large(self.length.unwrap_or(most + 1)))?;
            match frame.into_data() {
                Ok(data) if bytes.len() <= LARGEST => bytes.extend_from_slice(&data),
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
