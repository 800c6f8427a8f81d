//! One request, its body still to be read.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, StatusCode};
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::problem::Problem;
use super::query::Query;

/// The most bytes in the body of a request.
const MAX_BODY: usize = 512 * 1024;

/// Bodies above this length take turns, in bytes. What nodes send is shorter.
const SMALL_BODY: usize = 32 * 1024;

/// The time that a client has to send a body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The most bytes that are read of a body that is too large.
const MAX_READ: usize = 64 * MAX_BODY;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) query: Query,
    /// The body's length, if the request says it.
    pub(super) length: Option<u64>,
    pub(super) connection: Arc<Connection>,
    body: Incoming,
    large_bodies: Arc<Semaphore>,
}

impl Call {
    pub(super) fn new(
        request: Request<Incoming>,
        query: Query,
        connection: Arc<Connection>,
        large_bodies: Arc<Semaphore>,
    ) -> Self {
        let (head, body) = request.into_parts();
        let length = head.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Self {
            method: head.method,
            query,
            length,
            connection,
            body,
            large_bodies,
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
        let _limit = self.connection.limit_time(BODY_TIME);
        let mut turn = None;
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
            if turn.is_none() && bytes.len() > SMALL_BODY {
                turn = self.large_bodies.acquire().await.ok();
            }
        }
        let length = self.length.unwrap_or(bytes.len() as u64);
        if length > most {
            return Err(too_large(length));
        }
        // Without the space that it grew into, because a value is kept.
        Ok(Bytes::copy_from_slice(&bytes))
    }
}
