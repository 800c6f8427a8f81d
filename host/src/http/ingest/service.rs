//! What happens to every request for records, whatever its protocol.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONNECTION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::awaited::Awaited;
use super::body::{self, Reader, Received};
use super::charge::Charge;
use super::client::{Sending, audit, sender};
use super::config::{Follower, IngestConfig, IngestLimits};
use super::decoders::Decoders;
use super::forward::{FORWARDED, Forwarder};
use super::request_span::{Asking, RequestSpan, RequestTracer};
use crate::http::chosen;
use crate::http::client_address::ClientAddress;
use crate::http::problem::Problem;
use crate::once::{Delivery, Once};
use crate::stream::{Route, Stream, Streams};
use sluice_access::Access;
use sluice_delivery::{Intake, Outcome, Producer, RequestId};
use sluice_protocols::error::DecodeError;
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::{Credentials, Protocol};
use sluice_types::record::LogRecord;
use sluice_types::rejection::Rejection;
use sluice_types::trace::TraceContext;

/// What the handlers of all protocols work with.
#[derive(Debug)]
pub(crate) struct Ingest {
    streams: Streams,
    pub(crate) limits: IngestLimits,
    /// For bodies, what they are decoded to, and answers.
    pub(super) memory: Arc<MemoryBudget>,
    decoders: Decoders,
    follower: Follower,
    pub(super) forwarder: Forwarder,
    pub(super) access: Arc<Access>,
    /// What clients sent lately.
    once: Arc<Once>,
    /// Makes the spans of requests, if this node makes any.
    tracer: Option<RequestTracer>,
}

/// A request that this node takes, or the whole answer.
pub(super) enum Admitted<'a> {
    Here(Accepted<'a>),
    Answered(Response),
}

/// A request that this node takes, being the leader.
pub(super) struct Accepted<'a> {
    pub(super) intake: Arc<Intake>,
    pub(super) body: Received<'a>,
    pub(super) charge: Charge,
    pub(super) client: Sending,
}

/// Records for the sink.
pub(crate) struct Offer<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) intake: &'a Intake,
    pub(crate) producer: Producer,
    /// What they take of their client's quota.
    pub(crate) charge: Charge,
    /// The span of their request, if it has one.
    pub(crate) trace: Option<TraceContext>,
    /// What the journal keeps of their request, if its client gave it an id.
    pub(crate) ids: Vec<RequestId>,
    pub(crate) records: Vec<LogRecord>,
    /// What the records take, until they wait in the queue.
    pub(crate) reservation: Reservation,
}

/// Records that were acknowledged, or refused for good.
pub(crate) struct Settled {
    /// The epoch under which that was decided.
    pub(crate) epoch: u64,
    pub(crate) rejected: Vec<Rejection>,
}

impl Ingest {
    pub(crate) fn new(
        config: IngestConfig,
        access: &Arc<Access>,
        streams: &Streams,
        forwarder: Forwarder,
        tracer: Option<RequestTracer>,
    ) -> Arc<Self> {
        Arc::new(Self {
            streams: streams.clone(),
            limits: config.limits,
            memory: MemoryBudget::new(config.memory),
            decoders: Decoders::new(),
            follower: config.follower,
            forwarder,
            access: Arc::clone(access),
            once: Once::new(config.remembered),
            tracer,
        })
    }

    /// The default stream.
    pub(crate) const fn stream(&self) -> &Arc<Stream> {
        self.streams.default_stream()
    }

    /// The stream that a request is for.
    ///
    /// # Errors
    /// There is none of this name, or it names two.
    pub(super) fn stream_of(&self, head: &Parts) -> Result<Arc<Stream>, Problem> {
        chosen::stream_of(&self.streams, &head.extensions, &head.headers)
    }

    /// All streams.
    pub(crate) const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Reads the body if this node leads; otherwise redirects, relays or
    /// refuses the request.
    pub(super) async fn admit(
        &self,
        stream: &Stream,
        head: &Parts,
        body: Body,
        span: &RequestSpan,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Admitted<'_>, Problem> {
        let limit = self.limits.body;
        let client = match self.sender(stream, head) {
            Ok(client) => client,
            Err(problem) => {
                span.refused();
                self.leave(head, body, deadline).await;
                return Err(problem);
            }
        };
        let route = stream.route.borrow().clone();
        let was_forwarded = head.headers.contains_key(FORWARDED);
        let problem = match route {
            Route::Local(intake) => {
                let (charge, body) = self.let_in(&client, head, body, deadline.as_mut()).await?;
                let reading = self.reader(limit).receive(&head.headers, body, deadline);
                return Ok(Admitted::Here(Accepted {
                    intake,
                    body: reading.await?,
                    charge,
                    client,
                }));
            }
            Route::Leader(leader) if !was_forwarded && self.follower == Follower::Forward => {
                let asked = (head, &client, span);
                return self.forward(stream, &leader, asked, body, deadline).await;
            }
            route => self.not_here(&route, head, was_forwarded),
        };
        self.leave(head, body, deadline).await;
        Err(problem)
    }

    /// Reads a body that no answer depends on, if its client does not see one before.
    pub(super) async fn leave(&self, head: &Parts, body: Body, deadline: Pin<&mut Sleep>) {
        if !body::may_leave_body(head) {
            body::discard(body, self.limits.body, deadline).await;
        }
    }

    /// The client of a request on Sluice's own routes.
    fn sender(&self, stream: &Stream, head: &Parts) -> Result<Sending, Problem> {
        let given = head.headers.get(AUTHORIZATION);
        let credentials = Credentials {
            authorization: given.map(|value| value.to_str().unwrap_or_default()),
            ..Credentials::default()
        };
        let names = head.extensions.get().cloned().unwrap_or_default();
        sender(&self.access, stream, Protocol::Native, &credentials, &names).map_err(|refusal| {
            let from = head.extensions.get().map(|ClientAddress(client)| *client);
            audit(&self.access, Protocol::Native, &refusal, from);
            Problem::Denied(refusal)
        })
    }

    /// What a client is told when this node neither takes nor relays a request.
    fn not_here(&self, route: &Route, head: &Parts, was_forwarded: bool) -> Problem {
        match route {
            Route::Stopping => Problem::Stopping,
            _ if was_forwarded => Problem::Unavailable(
                "this node is not the leader, and the request was forwarded already".to_owned(),
            ),
            _ if self.follower == Follower::Reject => Problem::NotLeader,
            Route::Leader(leader) => Problem::Elsewhere(self.forwarder.location(leader, head)),
            Route::Local(_) | Route::Unknown => {
                Problem::Unavailable("no leader is known at the moment".to_owned())
            }
        }
    }

    /// Reads bodies of at most `limit` bytes.
    pub(super) const fn reader(&self, limit: usize) -> Reader<'_> {
        Reader {
            memory: &self.memory,
            decoders: &self.decoders,
            limit,
        }
    }

    /// Submits the records, and waits until they are settled or the deadline
    /// is over. If the client goes before that and some were offered to the sink,
    /// `late` may say whom the outcome is for.
    pub(crate) async fn deliver(
        &self,
        offer: Offer<'_>,
        deadline: Pin<&mut Sleep>,
        late: impl FnOnce() -> Option<Delivery>,
    ) -> Result<Settled, Problem> {
        let Offer {
            stream,
            intake,
            producer,
            mut charge,
            trace,
            ids,
            records,
            reservation,
        } = offer;
        let count = u64::try_from(records.len()).unwrap_or_default();
        charge.settle(&records).map_err(Problem::Quota)?;
        let is_kept = !ids.is_empty() && intake.recall().is_some();
        let receipt = intake.submit_known(producer, trace, ids, records)?;
        charge.keep();
        // From here on the queue accounts for the memory.
        drop(reservation);
        stream.metrics.accepted.inc_by(count);
        // A journal that keeps the ids must have each request once.
        let end = (!is_kept).then(|| deadline.deadline());
        let outcome = Awaited::new(receipt, end, late).outcome(deadline).await;
        match outcome {
            Outcome::Acknowledged { epoch, rejected } => Ok(Settled { epoch, rejected }),
            Outcome::NotDelivered(reason) => Err(Problem::Unavailable(reason.to_owned())),
            Outcome::Unknown(reason) => Err(Problem::Unknown(reason)),
        }
    }

    /// Decodes what came over another way than HTTP, on the blocking pool if it is
    /// large.
    ///
    /// # Errors
    /// Those of the decoder; or there was no memory or no time for it.
    pub(crate) async fn decode<T: Send + 'static>(
        &self,
        body: Bytes,
        deadline: Pin<&mut Sleep>,
        decode: impl FnOnce(Bytes, &mut Meter) -> Result<T, DecodeError> + Send + 'static,
    ) -> Result<(T, Reservation), Problem> {
        let received = self.reader(self.limits.body).of(body, None);
        let decode = |body, meter: &mut Meter| decode(body, meter).map_err(Problem::from);
        received.decode(deadline, decode).await
    }

    /// Takes records that another node or the command line sends, with the ids
    /// that they have, and waits for at most `wait`. Returns how they were settled.
    pub(in crate::http) async fn take(
        &self,
        stream: &Stream,
        producer: Producer,
        records: Vec<LogRecord>,
        wait: Duration,
    ) -> Result<Settled, Problem> {
        let route = stream.route.borrow().clone();
        let intake = match route {
            Route::Local(intake) => intake,
            Route::Stopping => return Err(Problem::Stopping),
            Route::Leader(_) | Route::Unknown => {
                let reason = "this node is not the leader".to_owned();
                return Err(Problem::Unavailable(reason));
            }
        };
        if records.is_empty() {
            return Ok(Settled {
                epoch: intake.epoch(),
                rejected: Vec::new(),
            });
        }
        let deadline = pin!(sleep(wait.min(self.limits.request)));
        let reservation = self.memory.reserve();
        let offer = Offer {
            stream,
            intake: &intake,
            producer,
            charge: Charge::default(),
            trace: None,
            ids: Vec::new(),
            records,
            reservation,
        };
        self.deliver(offer, deadline, || None).await
    }

    /// Turns a problem into a response, and counts it. `asked` are the headers
    /// of the request.
    pub(in crate::http) fn answer(
        &self,
        stream: &Stream,
        answer: Result<Response, Problem>,
        asked: &HeaderMap,
    ) -> Response {
        let response = answer.unwrap_or_else(|problem| {
            self.count(stream, &problem);
            problem.response(asked)
        });
        last_if_stopping(stream, response)
    }

    /// Counts a problem.
    pub(crate) fn count(&self, stream: &Stream, problem: &Problem) {
        match problem {
            Problem::Full => _ = stream.metrics.queue_full.inc(),
            Problem::Unknown(_) => _ = stream.metrics.unknown.inc(),
            _ => {}
        }
    }

    /// Begins the span of a request.
    pub(super) fn span(&self, asking: Asking<'_>) -> RequestSpan {
        RequestSpan::begin(self.tracer.as_ref(), asking)
    }

    /// For bodies and answers.
    pub(crate) const fn memory(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }

    /// What clients sent to the stream lately.
    pub(crate) const fn once(&self) -> &Arc<Once> {
        &self.once
    }

    /// Who may do what here.
    pub(crate) const fn access(&self) -> &Arc<Access> {
        &self.access
    }
}

/// Once the node is stopping, every answer is the last of its connection.
pub(super) fn last_if_stopping(stream: &Stream, mut response: Response) -> Response {
    if stream.is_stopping() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
