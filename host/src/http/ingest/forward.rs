//! Sends requests of clients to the leader, over one hop, by the signed route between
//! nodes. The leader is told the client's name and address, never its credential.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::client::Sending;
use crate::http::charged_body::charged;
use crate::http::chosen::with_prefix;
use crate::http::client_address::ClientAddress;
use crate::http::problem::{EPOCH, Problem};
use crate::peer::relayed::{AnswerHead, RelayedHead, from_pairs, join, pairs, split};
use crate::peer::{LeaderClient, PeerError, Target};
use sluice_protocols::memory_budget::MemoryBudget;
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;
use sluice_types::stream::DEFAULT_STREAM;
use sluice_types::trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// Marks a request that a node of the version before has forwarded.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("sluice-forwarded");
/// The producer's own id of a message.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("sluice-message-id");
/// The headers that decoding and answering a request on Sluice's own routes depend on.
const FORWARDED_HEADERS: [HeaderName; 6] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    MESSAGE_ID,
    ACCEPT,
    TRACEPARENT,
    TRACESTATE,
];
/// How much sooner than this node the leader stops waiting, so that its answer
/// arrives in time.
pub(super) const ANSWER_GRACE: Duration = Duration::from_millis(300);

/// What the leader said.
pub(super) enum Relayed {
    /// `None` if the client's connection is to be closed.
    Answer(Option<Response>),
    /// Certainly nothing was taken, for this reason.
    NotTaken(String),
    /// Certainly nothing was taken: the client must wait so long.
    Quota(Duration),
    /// Certainly nothing was taken: the leader's version takes no such request.
    Unsupported,
}

/// Sends a client's request to the leader, and waits for its answer until `end`. The
/// answer counts in `memory` until it is sent.
///
/// # Errors
/// The leader may have taken it.
pub(super) async fn relay(
    leaders: &LeaderClient,
    (leader, stream): (&LeaderAddress, &str),
    (head, body): (&RelayedHead, &Bytes),
    memory: &Arc<MemoryBudget>,
    end: Instant,
) -> Result<Relayed, Problem> {
    let address = leader.address.as_str();
    let (client, node) = match leaders.reach(leader) {
        Ok(reached) => reached,
        Err(why) => return Ok(Relayed::NotTaken(why)),
    };
    let target = Target {
        node: &node,
        address,
    };
    // The request between the nodes is a copy.
    let mut copy = memory.reserve();
    copy.spend(body.len())?;
    let limit = end.saturating_duration_since(Instant::now());
    let asking = client.relay(target, stream, join(head, body), limit);
    let answer = match timeout_at(end, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(PeerError::Status { status: 400, .. })) => return Ok(Relayed::Unsupported),
        Ok(Err(error)) => return not_answered(address, &error).map(Relayed::NotTaken),
        Err(_) => {
            return Err(Problem::Unknown(format!(
                "the leader at {address} did not answer in time"
            )));
        }
    };
    let unreadable = || {
        Problem::Unknown(format!(
            "the answer of the leader at {address} is unreadable"
        ))
    };
    let (head, body) = split::<AnswerHead>(&answer).ok_or_else(unreadable)?;
    Ok(match head {
        AnswerHead::Close => Relayed::Answer(None),
        AnswerHead::NotLeader => {
            Relayed::NotTaken(format!("the node at {address} does not lead any more"))
        }
        AnswerHead::NotTaken(why) => Relayed::NotTaken(why),
        AnswerHead::Quota { wait_ms } => Relayed::Quota(Duration::from_millis(wait_ms)),
        AnswerHead::Answer { status, headers } => {
            let mut response = Response::new(charged(body, memory.reserve()));
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            *response.headers_mut() = from_pairs(headers);
            Relayed::Answer(Some(response))
        }
    })
}

/// What no answer means: why nothing was taken.
///
/// # Errors
/// The leader may have taken it.
pub(super) fn not_answered(address: &str, error: &PeerError) -> Result<String, Problem> {
    tracing::debug!(
        error = chain(error),
        "the leader gave no answer to a relayed request"
    );
    match error {
        // A version before this one may lack the route.
        PeerError::Status { status: 404, .. } => Ok(format!(
            "the leader at {address} does not know the stream, or is of another version"
        )),
        // The signature is refused, or there is no memory: the request did not get to its
        // protocol.
        PeerError::Status { .. } | PeerError::Setup(_) | PeerError::Probe { .. } => {
            Ok(format!("the leader at {address} cannot be reached"))
        }
        PeerError::Transport { cause, .. } if cause.is_connect() => {
            Ok(format!("the leader at {address} cannot be reached"))
        }
        PeerError::Transport { .. } | PeerError::Shape { .. } => Err(Problem::Unknown(format!(
            "the leader at {address} did not answer"
        ))),
    }
}

/// The client for forwarding could not be set up.
#[derive(Debug, Error)]
#[error("set up the HTTP client that forwards to the leader")]
pub(crate) struct ForwardError(#[source] reqwest::Error);

/// Sends requests on Sluice's own routes to the leader.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    leaders: Arc<LeaderClient>,
    /// For leaders of the version before.
    plain: reqwest::Client,
}

impl Forwarder {
    pub(crate) fn new(leaders: Arc<LeaderClient>) -> Result<Self, ForwardError> {
        let plain = leaders
            .tls()
            .configure(reqwest::Client::builder())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(ForwardError)?;
        Ok(Self { leaders, plain })
    }

    /// The leader's URL for this path.
    pub(super) fn location(&self, leader: &LeaderAddress, head: &Parts) -> String {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = with_prefix(&head.extensions, path);
        self.leaders.url(&leader.address, &path)
    }

    /// Sends a client's request to the leader, and returns its answer.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] and [`Problem::Quota`] if the leader certainly did not
    /// take the request, [`Problem::Unknown`] if it may have.
    pub(super) async fn forward(
        &self,
        to: (&LeaderAddress, &str),
        (head, client, trace): (&Parts, &Sending, Option<&TraceContext>),
        body: &Bytes,
        memory: &Arc<MemoryBudget>,
        end: Instant,
    ) -> Result<Response, Problem> {
        let headers = forwarded_headers(&head.headers, trace);
        let relayed_head = relayed_head(head, headers.clone(), client, end);
        let request = (&relayed_head, body);
        match relay(&self.leaders, to, request, memory, end).await? {
            Relayed::Answer(Some(answer)) => Ok(answer),
            Relayed::Answer(None) => {
                let why = format!("the leader at {} gave no answer", to.0.address);
                Err(Problem::Unknown(why))
            }
            Relayed::NotTaken(why) => Err(Problem::Unavailable(why)),
            Relayed::Quota(wait) => Err(Problem::Quota(wait)),
            Relayed::Unsupported if to.1 != DEFAULT_STREAM => {
                let why = "the leader is of an earlier version, which has no other streams";
                Err(Problem::Unavailable(why.to_owned()))
            }
            Relayed::Unsupported => self.forward_plainly(to.0, (head, headers), body, end).await,
        }
    }

    /// The same for a leader of the version before, which takes forwarded requests only
    /// on the routes for clients. It asks for a token if it has one, and gets none.
    async fn forward_plainly(
        &self,
        leader: &LeaderAddress,
        (head, headers): (&Parts, HeaderMap),
        body: &Bytes,
        end: Instant,
    ) -> Result<Response, Problem> {
        let unknown = |_| {
            let leader = &leader.address;
            Problem::Unknown(format!("the leader at {leader} did not answer"))
        };
        let mut request = self
            .plain
            .post(self.leaders.url(&leader.address, head.uri.path()));
        request = request.headers(headers);
        request = request.header(FORWARDED, HeaderValue::from_static("1"));
        let left = end.saturating_duration_since(Instant::now());
        let sent = request.timeout(left).body(body.clone()).send().await;
        let answer = sent.map_err(unknown)?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let why = "the leader is of an earlier version, which needs the client's token";
            return Err(Problem::Unavailable(why.to_owned()));
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(unknown)?;
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        for name in [&CONTENT_TYPE, &EPOCH, &RETRY_AFTER] {
            if let Some(value) = headers.get(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}

fn relayed_head(head: &Parts, headers: HeaderMap, client: &Sending, end: Instant) -> RelayedHead {
    let left = end.saturating_duration_since(Instant::now());
    let wait = left.saturating_sub(ANSWER_GRACE).as_millis();
    RelayedHead {
        method: head.method.to_string(),
        target: head.uri.path().to_owned(),
        headers: pairs(&headers),
        client: head.extensions.get().map(|ClientAddress(client)| *client),
        name: client.as_ref().map(|client| client.name().to_string()),
        wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
        park_ms: 0,
    }
}

/// What the leader needs of the headers. The span of this node's request takes the place
/// of the client's, if there is one.
fn forwarded_headers(headers: &HeaderMap, trace: Option<&TraceContext>) -> HeaderMap {
    let kept = FORWARDED_HEADERS.into_iter();
    let kept = kept.filter_map(|name| headers.get(&name).map(|value| (name, value.clone())));
    let mut kept: HeaderMap = kept.collect();
    if let Some(trace) = trace {
        trace.put_into(&mut kept);
    }
    kept
}
