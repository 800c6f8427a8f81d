//! Relays requests of standard protocols to the leader.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::asked::Asked;
use super::clock::Clock;
use crate::http::ingest::forward::{self, ANSWER_GRACE, Relayed, not_answered};
use crate::http::problem::Problem;
use crate::peer::delivered::{DeliveryAnswer, DeliveryHead, Refused};
use crate::peer::relayed::{RelayedHead, join, pairs};
use crate::peer::{LeaderClient, Target};
use sluice_delivery::Chunk;
use sluice_protocols::memory_budget::MemoryBudget;
use sluice_types::documents::LeaderAddress;
use sluice_types::record::LogRecord;
use sluice_types::trace::TraceContext;

/// The headers that decoding and answering depend on. The leader sees no others,
/// and so no credential: this node has checked it.
const RELAYED: [&str; 12] = [
    "accept",
    "content-encoding",
    "content-type",
    "grpc-encoding",
    "logplex-frame-id",
    "logplex-msg-count",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-amz-target",
    "x-scope-orgid",
    "x-splunk-request-channel",
];
/// Names in a query whose values are credentials.
const CREDENTIALS: [&str; 3] = ["api_key", "dd-api-key", "token"];
/// Sends requests to the leader.
#[derive(Debug)]
pub(crate) struct Relay {
    leaders: Arc<LeaderClient>,
}

/// What the leader did with records.
#[derive(Debug)]
pub(crate) enum Delivered {
    /// All are acknowledged but these, which are refused for good.
    Settled(Vec<Refused>),
    /// Certainly nothing was taken, for this reason.
    NotTaken(String),
}

impl Relay {
    pub(crate) const fn new(leaders: Arc<LeaderClient>) -> Self {
        Self { leaders }
    }

    /// Sends a request to the leader with the name of its client and the span that this
    /// node has for it, and waits for the answer.
    ///
    /// # Errors
    /// The leader may have taken it.
    pub(super) async fn send(
        &self,
        to: (&LeaderAddress, &str),
        (asked, name, trace): (&Asked, Option<&Arc<str>>, Option<&TraceContext>),
        body: &Bytes,
        clock: &Clock,
        memory: &Arc<MemoryBudget>,
    ) -> Result<Relayed, Problem> {
        let head = head(asked, name, trace, clock);
        forward::relay(&self.leaders, to, (&head, body), memory, clock.end).await
    }

    /// Sends records to the leader of a stream for clients that cannot be told which of
    /// them were refused, and waits for the outcome until `end`.
    ///
    /// # Errors
    /// The leader may have taken them.
    pub(crate) async fn deliver(
        &self,
        (leader, stream): (&LeaderAddress, &str),
        records: &[LogRecord],
        memory: &Arc<MemoryBudget>,
        end: Instant,
    ) -> Result<Delivered, Problem> {
        let address = leader.address.as_str();
        let (client, name) = match self.leaders.reach(leader) {
            Ok(reached) => reached,
            Err(why) => return Ok(Delivered::NotTaken(why)),
        };
        // The records in their other form, and with their head.
        let mut copies = memory.reserve();
        let bytes: usize = records.iter().map(LogRecord::size).sum();
        copies.spend(2 * bytes).map_err(Problem::from)?;
        let left = end.saturating_duration_since(Instant::now());
        let wait = left.saturating_sub(ANSWER_GRACE);
        let head = DeliveryHead {
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        };
        let request = join(&head, &Chunk::frames_of(records));
        let target = Target {
            node: &name,
            address,
        };
        let asking = client.deliver(target, stream, request, left);
        let answer = match timeout_at(end, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return not_answered(address, &error).map(Delivered::NotTaken),
            Err(_) => {
                return Err(Problem::Unknown(format!(
                    "the leader at {address} did not answer in time"
                )));
            }
        };
        match answer {
            DeliveryAnswer::Settled(refused) => Ok(Delivered::Settled(refused)),
            DeliveryAnswer::NotTaken(why) => Ok(Delivered::NotTaken(why)),
            DeliveryAnswer::Unknown(why) => Err(Problem::Unknown(why)),
        }
    }
}

fn head(
    asked: &Asked,
    name: Option<&Arc<str>>,
    trace: Option<&TraceContext>,
    clock: &Clock,
) -> RelayedHead {
    let mut headers = relayed_headers(&asked.headers);
    if let Some(trace) = trace {
        trace.put_into(&mut headers);
    }
    let (park, wait) = clock.left();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    RelayedHead {
        method: asked.method.to_string(),
        target: target(asked),
        headers: pairs(&headers),
        client: asked.client,
        name: name.map(|name| name.to_string()),
        wait_ms: millis(wait.saturating_sub(ANSWER_GRACE)),
        park_ms: millis(park),
    }
}

/// The path and the query without credentials.
fn target(asked: &Asked) -> String {
    let name = |pair: &str| {
        pair.split('=')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let is_kept = |pair: &&str| !CREDENTIALS.contains(&name(pair).as_str());
    let query: Vec<_> = asked.query.split('&').filter(is_kept).collect();
    // Datadog's agent of old puts its key there.
    let path = match asked.path.starts_with("/v1/input/") {
        true => "/v1/input",
        false => &asked.path,
    };
    match query.join("&") {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn relayed_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in RELAYED {
        if let Some(value) = headers.get(name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}
