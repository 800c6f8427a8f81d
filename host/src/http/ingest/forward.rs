//! What a node that does not lead does with a request.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use thiserror::Error;
use tokio::time::Instant;

use super::answer::{EPOCH, Problem};
use sluice_leadership::NodeAddresses;
use sluice_types::documents::LeaderAddress;

/// Marks a request that has made its one hop.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("sluice-forwarded");
/// The producer's own id of a message.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("sluice-message-id");

/// The leader keeps the deadline itself; so much longer is waited for it.
const GRACE: Duration = Duration::from_secs(1);

/// How a node that does not lead answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Follower {
    /// 307 to the leader.
    #[default]
    Redirect,
    /// Hand it on, and its answer back.
    Forward,
    /// 400 `Not Leader`.
    Reject,
}

/// The client for forwarding could not be set up.
#[derive(Debug, Error)]
#[error("set up the HTTP client that forwards to the leader")]
pub struct ForwardError(#[source] reqwest::Error);

/// Hands requests on to the leader, one hop, registered nodes only.
#[derive(Clone, Debug)]
pub struct Forwarder {
    client: reqwest::Client,
    peers: NodeAddresses,
    scheme: &'static str,
}

impl Forwarder {
    /// A forwarder to nodes that speak HTTPS or HTTP.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub fn new(peers: NodeAddresses, tls: bool) -> Result<Self, ForwardError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(ForwardError)?;
        Ok(Self {
            client,
            peers,
            scheme: if tls { "https" } else { "http" },
        })
    }

    /// The leader's URL for this path.
    pub(super) fn location(&self, leader: &LeaderAddress, uri: &Uri) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}://{}{path}", self.scheme, leader.address)
    }

    /// Sends the request to the leader and gives back its answer.
    ///
    /// # Errors
    /// 503 if it certainly did not get there, 504 if it may have.
    pub(super) async fn forward(
        &self,
        leader: &LeaderAddress,
        head: &Parts,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Response, Problem> {
        if !self.peers.borrow().contains(&leader.address) {
            return Err(Problem::Unavailable(format!(
                "the leader's address {} is not that of a registered node",
                leader.address
            )));
        }
        let rest = deadline.saturating_duration_since(Instant::now());
        let url = self.location(leader, &head.uri);
        let mut request = self.client.post(url).timeout(rest + GRACE).body(body);
        for name in [
            &CONTENT_TYPE,
            &CONTENT_ENCODING,
            &MESSAGE_ID,
            &AUTHORIZATION,
            &ACCEPT,
        ] {
            if let Some(value) = head.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let sent = request
            .header(FORWARDED, HeaderValue::from_static("1"))
            .send()
            .await;
        let answer = sent.map_err(|error| {
            if error.is_connect() {
                Problem::Unavailable(format!(
                    "the leader at {} can not be reached",
                    leader.address
                ))
            } else {
                Problem::Unknown(format!("the leader at {} did not answer", leader.address))
            }
        })?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for name in [&CONTENT_TYPE, &CONTENT_LENGTH, &EPOCH, &RETRY_AFTER] {
            if let Some(value) = answer.headers().get(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        let body = answer.bytes().await.map_err(|_| {
            Problem::Unknown(format!(
                "the answer of the leader at {} broke off",
                leader.address
            ))
        })?;
        *response.body_mut() = Body::from(body);
        Ok(response)
    }
}
