//! Spans that have ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::context::TraceContext;
use super::id::SpanId;
use super::outcome::SpanOutcome;

/// A span that has ended and is to be recorded.
#[derive(Debug)]
pub struct Span {
    /// What others refer to it by.
    pub context: TraceContext,
    /// The span below which it happened; `None` if it began its trace.
    pub parent: Option<Parent>,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What happened.
    pub work: Work,
}

/// The span above another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id. The trace is the same.
    pub span: SpanId,
    /// Whether it is one of another process.
    pub is_remote: bool,
}

/// What happened in a span.
#[derive(Debug)]
pub enum Work {
    /// A client or another node sent records.
    Request(Box<RequestWork>),
    /// Records were on their way to the sink together.
    Batch(Box<BatchWork>),
    /// The sink was offered records.
    Write(Box<WriteWork>),
    /// The sink sent an HTTP request.
    Outgoing(Box<OutgoingWork>),
}

/// Why a span failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFailure {
    /// The kind, of which there are few: the attribute `error.type`.
    pub kind: &'static str,
    /// For people.
    pub reason: String,
}

/// A request for records.
#[derive(Debug)]
pub struct RequestWork {
    /// The HTTP method, or `_OTHER`.
    pub method: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The path, without credentials and not longer than a log should show.
    pub path: String,
    /// The path with names in place of what clients choose.
    pub route: String,
    /// The protocol's name.
    pub protocol: &'static str,
    /// The stream that the records are for.
    pub stream: String,
    /// Where the request came from.
    pub client: Option<IpAddr>,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
    /// How many records were in it, once that was known.
    pub records: Option<usize>,
    /// How many of them were refused for good.
    pub rejected: usize,
    /// What became of them here; `None` if another node decided.
    pub outcome: Option<SpanOutcome>,
    /// The node that the request was relayed to.
    pub relayed_to: Option<String>,
}

/// A batch, from when it was taken from the queue until all of it was settled.
#[derive(Debug)]
pub struct BatchWork {
    /// The stream's name.
    pub stream: Arc<str>,
    /// The leader's epoch.
    pub epoch: u64,
    /// How many records it had.
    pub records: usize,
    /// How many requests had records in it.
    pub requests: usize,
    /// Spans of these requests, if it is not below the only one.
    pub links: Vec<TraceContext>,
    /// How many more spans of requests are recorded.
    pub links_dropped: usize,
    /// How many records the sink has refused for good.
    pub rejected: usize,
    /// What became of the records.
    pub outcome: SpanOutcome,
}

/// A call of the sink's `write`.
#[derive(Debug)]
pub struct WriteWork {
    /// The stream's name.
    pub stream: Arc<str>,
    /// The leader's epoch.
    pub epoch: u64,
    /// 1 for the first offer of these records.
    pub attempt: u32,
    /// How many records were offered.
    pub records: usize,
    /// How many of them the sink has refused.
    pub refused: usize,
    /// Where the sink comes from.
    pub plugin: String,
    /// What became of the records.
    pub outcome: SpanOutcome,
    /// Why they were not confirmed.
    pub failure: Option<SpanFailure>,
}

/// An HTTP request of a sink, until the head of its answer.
#[derive(Debug)]
pub struct OutgoingWork {
    /// The HTTP method, or `_OTHER`.
    pub method: &'static str,
    /// Origin and path. A query may hold credentials.
    pub url: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The sink that sent it.
    pub plugin: String,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there is no answer.
    pub failure: Option<SpanFailure>,
}
