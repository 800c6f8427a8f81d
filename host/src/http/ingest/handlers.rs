//! What happens to a request, from its head to its answer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::answer::{self, Problem};
use super::body;
use super::decode::{self, Decoded};
use super::forward::{FORWARDED, Follower, Forwarder, MESSAGE_ID};
use crate::http::memory_budget::{MemoryBudget, Reservation};
use crate::stream::Route;
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{Intake, Outcome, Refused};
use sluice_types::clock::unix_nanos;
use sluice_types::record::{LogRecord, Text};

/// Bodies from this size are decoded away from the tasks that serve others.
const LARGE: usize = 256 << 10;

/// The limits on one request.
#[derive(Clone, Copy, Debug)]
pub struct IngestLimits {
    /// Bytes of a body, also once it is decompressed.
    pub body: usize,
    /// From the head of a request to its answer.
    pub request: Duration,
    /// Records of one request.
    pub records: usize,
}

/// What every handler needs.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Where requests go.
    pub route: watch::Receiver<Route>,
    /// The limits on one request.
    pub limits: IngestLimits,
    /// The memory for bodies.
    pub memory: Arc<MemoryBudget>,
    /// What to do when another node leads.
    pub follower: Follower,
    /// Hands requests on.
    pub forwarder: Forwarder,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// What a client has to send, if anything.
    pub authorization: Option<Authorization>,
}

/// The `Authorization` that clients have to send, kept and compared as a
/// digest, so that the time of a comparison tells nothing.
#[derive(Clone, Debug)]
pub struct Authorization([u8; 32]);

impl Authorization {
    /// `Bearer <token>`.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self(Sha256::digest(format!("Bearer {token}")).into())
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(AUTHORIZATION)
            .map(|value| Sha256::digest(value.as_bytes()));
        given.is_some_and(|given| given[..] == self.0)
    }
}

/// `POST /api/v1/log`: the body is the text of one message.
pub(crate) async fn log(State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let answer = ingest.one(&head, body).await;
    ingest.answer(answer, &head.headers)
}

/// `POST /api/v1/logs`: many messages in one of three formats.
pub(crate) async fn logs(State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let answer = ingest.many(&head, body).await;
    ingest.answer(answer, &head.headers)
}

/// Either where to submit to, or the whole answer.
enum Admitted {
    /// The body, and the memory that it takes until its records are submitted.
    Here(Arc<Intake>, Bytes, Reservation),
    Answered(Response),
}

impl Ingest {
    async fn one(&self, head: &Parts, body: Body) -> Result<Response, Problem> {
        let mut deadline = pin!(sleep(self.limits.request));
        let (intake, body, taken) = match self.admit(head, body, deadline.as_mut()).await? {
            Admitted::Here(intake, body, taken) => (intake, body, taken),
            Admitted::Answered(response) => return Ok(response),
        };
        let key = message_id(&head.headers)?;
        let record = decode::one(body, key, unix_nanos()).inspect_err(|_| {
            self.metrics.rejected.inc();
        })?;
        answer::single(
            self.deliver(&intake, vec![record], taken, deadline.as_mut())
                .await?,
        )
    }

    async fn many(&self, head: &Parts, body: Body) -> Result<Response, Problem> {
        let mut deadline = pin!(sleep(self.limits.request));
        let (intake, body, taken) = match self.admit(head, body, deadline.as_mut()).await? {
            Admitted::Here(intake, body, taken) => (intake, body, taken),
            Admitted::Answered(response) => return Ok(response),
        };
        let format = Format::of(&head.headers)?;
        let decoded = format.decode(body, self.limits.records).await?;
        if decoded.is_too_many {
            return Err(Refused::TooLarge.into());
        }
        let Decoded {
            records, rejected, ..
        } = decoded;
        self.metrics
            .rejected
            .inc_by(u64::try_from(rejected.len()).unwrap_or_default());
        let total = records.len() + rejected.len();
        if records.is_empty() {
            return Ok(answer::many(intake.epoch(), total, &rejected));
        }
        let outcome = self
            .deliver(&intake, records, taken, deadline.as_mut())
            .await?;
        let (epoch, by_sink) = answer::settled(outcome)?;
        Ok(answer::many(
            epoch,
            total,
            &Decoded::merge(rejected, by_sink),
        ))
    }

    /// Takes records in that another node or the command line hands over, as
    /// if they had come in a request for many.
    pub(crate) async fn take(&self, records: Vec<LogRecord>, asked: &HeaderMap) -> Response {
        let taken = async {
            let route = self.route.borrow().clone();
            let intake = match route {
                Route::Local(intake) => intake,
                Route::Stopping => return Err(Problem::Stopping),
                Route::Leader(_) | Route::Unknown => {
                    return Err(Problem::Unavailable(
                        "this node is not the leader".to_owned(),
                    ));
                }
            };
            let total = records.len();
            if total == 0 {
                return Ok(answer::many(intake.epoch(), 0, &[]));
            }
            let deadline = pin!(sleep(self.limits.request));
            let outcome = self
                .deliver(&intake, records, self.memory.reserve(), deadline)
                .await?;
            let (epoch, rejected) = answer::settled(outcome)?;
            Ok(answer::many(epoch, total, &rejected))
        };
        let taken = taken.await;
        self.answer(taken, asked)
    }

    /// A body of at most `limit` bytes, within the time and the memory that there
    /// are for all.
    ///
    /// # Errors
    /// The answer.
    pub(crate) async fn read_bounded(&self, body: Body, limit: usize) -> Result<Bytes, Response> {
        let deadline = pin!(sleep(self.limits.request));
        let headers = HeaderMap::new();
        let mut taken = self.memory.reserve();
        let read = body::read(&headers, body, limit, &mut taken, deadline).await;
        read.map_err(|problem| problem.response(&headers))
    }

    /// Reads the body if this node leads; deals with the request if not.
    async fn admit(
        &self,
        head: &Parts,
        body: Body,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Admitted, Problem> {
        let limit = self.limits.body;
        if self
            .authorization
            .as_ref()
            .is_some_and(|wanted| !wanted.admits(&head.headers))
        {
            body::discard(body, limit, deadline).await;
            return Err(Problem::Unauthorized);
        }
        let route = self.route.borrow().clone();
        let was_forwarded = head.headers.contains_key(FORWARDED);
        let problem = match route {
            Route::Local(intake) => {
                let mut taken = self.memory.reserve();
                let body = body::read(&head.headers, body, limit, &mut taken, deadline).await?;
                return Ok(Admitted::Here(intake, body, taken));
            }
            Route::Stopping => Problem::Stopping,
            _ if was_forwarded => Problem::Unavailable(
                "this node is not the leader, and the request was forwarded already".to_owned(),
            ),
            Route::Leader(leader) => match self.follower {
                Follower::Redirect => {
                    Problem::Elsewhere(self.forwarder.location(&leader, &head.uri))
                }
                Follower::Reject => Problem::NotLeader,
                Follower::Forward => {
                    let end = deadline.deadline();
                    let mut taken = self.memory.reserve();
                    let body = self.read_raw(head, body, &mut taken, deadline).await?;
                    let response = self.forwarder.forward(&leader, head, body, end).await?;
                    return Ok(Admitted::Answered(response));
                }
            },
            Route::Unknown if self.follower == Follower::Reject => Problem::NotLeader,
            Route::Unknown => Problem::Unavailable("no leader is known at the moment".to_owned()),
        };
        if !body::expects_continue(&head.headers) {
            body::discard(body, limit, deadline).await;
        }
        Err(problem)
    }

    /// The body as it is, to be handed on.
    async fn read_raw(
        &self,
        head: &Parts,
        body: Body,
        taken: &mut Reservation,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Bytes, Problem> {
        let mut headers = head.headers.clone();
        headers.remove(axum::http::header::CONTENT_ENCODING);
        body::read(&headers, body, self.limits.body, taken, deadline).await
    }

    async fn deliver(
        &self,
        intake: &Intake,
        records: Vec<LogRecord>,
        taken: Reservation,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Outcome, Problem> {
        let count = u64::try_from(records.len()).unwrap_or_default();
        let mut receipt = intake.submit(records)?;
        // From here on the queue counts them.
        drop(taken);
        self.metrics.accepted.inc_by(count);
        tokio::select! {
            biased;
            outcome = &mut receipt => Ok(outcome),
            () = deadline => Ok(receipt.give_up()),
        }
    }

    fn answer(&self, answer: Result<Response, Problem>, asked: &HeaderMap) -> Response {
        let mut response = answer.unwrap_or_else(|problem| {
            match problem {
                Problem::Full => _ = self.metrics.queue_full.inc(),
                Problem::Unknown(_) => _ = self.metrics.unknown.inc(),
                _ => {}
            }
            problem.response(asked)
        });
        // Once the node is stopping, every answer is the last of its connection.
        if matches!(*self.route.borrow(), Route::Stopping) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn message_id(headers: &HeaderMap) -> Result<Option<Text>, Problem> {
    let Some(value) = headers.get(MESSAGE_ID) else {
        return Ok(None);
    };
    match Text::try_from(Bytes::copy_from_slice(value.as_bytes())) {
        Ok(id) => Ok((!id.is_empty()).then_some(id)),
        Err(_) => Err(Problem::Malformed(
            "Sluice-Message-Id is not UTF-8".to_owned(),
        )),
    }
}

/// The content types of many messages.
#[derive(Clone, Copy, Debug)]
enum Format {
    Lines,
    Ndjson,
    Json,
}

impl Format {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let named = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = named
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/plain" => Ok(Self::Lines),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Ndjson),
            "application/json" => Ok(Self::Json),
            other => Err(Problem::Unsupported(format!(
                "the content type {other:?} is not understood; use text/plain (a message a line), \
                 application/x-ndjson or application/json"
            ))),
        }
    }

    async fn decode(self, body: Bytes, most: usize) -> Result<Decoded, Problem> {
        let observed = unix_nanos();
        let is_large = body.len() >= LARGE;
        let work = move || match self {
            Self::Lines => Ok(decode::lines(&body, observed, most)),
            Self::Ndjson => Ok(decode::ndjson(&body, observed, most)),
            Self::Json => decode::json(body, observed, most),
        };
        if !is_large {
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(decoded) => decoded,
            Err(error) => Err(Problem::Unavailable(format!(
                "the body could not be decoded: {error}"
            ))),
        }
    }
}

/// `POST /bench/baseline`: the same way in and out, with nothing in between.
pub(crate) async fn baseline(
    State(ingest): State<Arc<Ingest>>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let mut deadline = pin!(sleep(ingest.limits.request));
    let mut taken = ingest.memory.reserve();
    let limit = ingest.limits.body;
    let answer = body::read(&head.headers, body, limit, &mut taken, deadline.as_mut())
        .await
        .map(|_| Response::new(Body::from("OK")));
    ingest.answer(answer, &head.headers)
}
