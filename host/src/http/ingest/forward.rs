//! Relays requests to the leader.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use thiserror::Error;
use tokio::time::Instant;

use super::pieces::{BLOCK_BYTES, Pieces};
use crate::http::charged_body::charged;
use crate::http::problem::{EPOCH, Problem};
use crate::tls::PeerTls;
use sluice_leadership::NodeAddresses;
use sluice_protocols::memory_budget::{Reservation, UNCHARGED_BYTES};
use sluice_types::documents::LeaderAddress;
use sluice_types::trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// Marks a request that has made its one hop.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("sluice-forwarded");
/// The producer's own id of a message.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("sluice-message-id");

/// How much longer than the deadline to wait for the leader, which keeps the
/// deadline itself.
const GRACE: Duration = Duration::from_secs(1);

/// The client for forwarding could not be set up.
#[derive(Debug, Error)]
#[error("set up the HTTP client that forwards to the leader")]
pub(crate) struct ForwardError(#[source] reqwest::Error);

/// Relays requests to the leader, over one hop, and only to registered nodes.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    client: reqwest::Client,
    peers: NodeAddresses,
    scheme: &'static str,
}

impl Forwarder {
    /// `tls` says how the nodes are reached.
    pub(crate) fn new(peers: NodeAddresses, tls: &PeerTls) -> Result<Self, ForwardError> {
        let client = tls
            .configure(reqwest::Client::builder())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(ForwardError)?;
        Ok(Self {
            client,
            peers,
            scheme: tls.scheme(),
        })
    }

    /// The leader's URL for this path.
    pub(super) fn location(&self, leader: &LeaderAddress, uri: &Uri) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}://{}{path}", self.scheme, leader.address)
    }

    /// Sends the request to the leader and returns its answer.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if the leader certainly did not get the request,
    /// [`Problem::Unknown`] if it may have.
    pub(super) async fn forward(
        &self,
        leader: &LeaderAddress,
        (head, trace): (&Parts, Option<&TraceContext>),
        body: Bytes,
        mut reservation: Reservation,
        deadline: Instant,
    ) -> Result<Response, Problem> {
        if !self.peers.borrow().contains(&leader.address) {
            return Err(Problem::Unavailable(format!(
                "the leader's address {} is not that of a registered node",
                leader.address
            )));
        }
        let mut request = self.request(leader, head, body, deadline);
        if let Some(trace) = trace {
            let mut headers = HeaderMap::new();
            trace.put_into(&mut headers);
            // They replace those of the client.
            request = request.headers(headers);
        }
        let sent = request.send().await;
        let answer = sent.map_err(|error| {
            if error.is_connect() {
                Problem::Unavailable(format!(
                    "the leader at {} cannot be reached",
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
        // The body is sent.
        reservation.reduce(0);
        let body = read_answer(answer, &mut reservation).await.ok_or_else(|| {
            let leader = &leader.address;
            Problem::Unknown(format!("the answer of the leader at {leader} broke off"))
        })?;
        *response.body_mut() = charged(body, reservation);
        Ok(response)
    }

    /// The request for the leader, with the headers that it needs.
    fn request(
        &self,
        leader: &LeaderAddress,
        head: &Parts,
        body: Bytes,
        deadline: Instant,
    ) -> reqwest::RequestBuilder {
        let rest = deadline.saturating_duration_since(Instant::now());
        let url = self.location(leader, &head.uri);
        let mut request = self.client.post(url).timeout(rest + GRACE).body(body);
        for name in [
            &CONTENT_TYPE,
            &CONTENT_ENCODING,
            &MESSAGE_ID,
            &AUTHORIZATION,
            &ACCEPT,
            &TRACEPARENT,
            &TRACESTATE,
        ] {
            if let Some(value) = head.headers.get(name) {
                request = request.header(name, value);
            }
        }
        request.header(FORWARDED, HeaderValue::from_static("1"))
    }
}

/// The body of the leader's answer; `None` if it broke off. It must be given even
/// if there is no memory for it now: the leader has decided already.
async fn read_answer(
    mut answer: reqwest::Response,
    reservation: &mut Reservation,
) -> Option<Bytes> {
    let mut pieces = Pieces::default();
    while let Some(piece) = answer.chunk().await.ok()? {
        if pieces.len() + piece.len() > UNCHARGED_BYTES {
            reservation.allow(piece.len().max(BLOCK_BYTES));
        }
        pieces.push(piece, reservation).ok()?;
    }
    Some(pieces.join(reservation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use sluice_protocols::memory_budget::{Exhausted, MemoryBudget};
    use std::collections::HashSet;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    const LENGTH: usize = 100_000;

    /// A leader that gives one long answer.
    async fn leader() -> LeaderAddress {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
            let answer = [head.as_bytes(), &[b'x'; LENGTH]].concat();
            stream.write_all(&answer).await.unwrap();
            // Until the client closes the connection.
            drop(stream.read(&mut request).await);
        });
        LeaderAddress {
            node: "a".to_owned(),
            address,
        }
    }

    #[tokio::test]
    async fn the_answer_of_the_leader_is_charged_until_it_is_sent() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let leader = leader().await;
        let peers = HashSet::from([leader.address.clone()]);
        let forwarder =
            Forwarder::new(watch::channel(Arc::new(peers)).1, &PeerTls::default()).unwrap();
        let budget = MemoryBudget::new(LENGTH);
        let head = Request::post("/api/v1/logs").body(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let answer = forwarder
            .forward(
                &leader,
                (&head.into_parts().0, None),
                Bytes::new(),
                budget.reserve(),
                deadline,
            )
            .await
            .unwrap();
        assert_eq!(budget.reserve().spend(LENGTH), Err(Exhausted::Now));
        drop(answer);
        assert_eq!(budget.reserve().spend(LENGTH), Ok(()));
    }
}
