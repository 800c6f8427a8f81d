//! Counts what becomes of the records of a request.

use axum::http::HeaderMap;
use tokio::time::Instant;

use super::request_span::RequestSpan;
use super::service::Settled;
use crate::http::problem::Problem;
use crate::meters::trace_of;
use crate::stream::Stream;
use sluice_delivery::metrics::{IngestMetrics, RecordsOutcome};
use sluice_protocols::tokens::Protocol;
use sluice_types::trace::{SpanOutcome, TraceContext, TraceId};

/// A request that is to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    metrics: &'a IngestMetrics,
    headers: &'a HeaderMap,
    begun: Instant,
    span: &'a RequestSpan,
}

impl<'a> Counted<'a> {
    /// A request with these headers, whose head was received at `begun`.
    pub(super) fn new(
        stream: &'a Stream,
        protocol: Protocol,
        headers: &'a HeaderMap,
        begun: Instant,
        span: &'a RequestSpan,
    ) -> Self {
        Self {
            metrics: stream.meters.route(protocol),
            headers,
            begun,
            span,
        }
    }

    /// All of its records are settled; so many were refused for good.
    pub(super) fn settled(&self, total: usize, rejected: usize) {
        self.span.settled(total, rejected);
        let (took, trace) = (self.begun.elapsed(), self.trace());
        self.metrics.settled(took, trace, total, rejected);
    }

    /// Its records were acknowledged before.
    pub(super) fn duplicate(&self, records: usize) {
        self.span.ended_as(SpanOutcome::Duplicate, records);
        self.metrics.count(RecordsOutcome::Duplicate, records);
        let (took, trace) = (self.begun.elapsed(), self.trace());
        self.metrics.acknowledged(took, trace);
    }

    /// A decoder has refused all of its records.
    pub(super) fn rejected(&self, records: usize) {
        self.span.settled(records, records);
        self.metrics.count(RecordsOutcome::Rejected, records);
    }

    /// None of its records is settled; so many are known.
    pub(super) fn failed(&self, records: usize, problem: &Problem) {
        let outcome = outcome(problem);
        self.span.ended_as(for_span(outcome), records);
        self.metrics.count(outcome, records);
    }

    /// The span of the request, for what happens below it.
    pub(super) fn context(&self) -> Option<TraceContext> {
        self.span.context().cloned()
    }

    /// The trace that an example of this request belongs to: one that is recorded
    /// here, or else the client's.
    fn trace(&self) -> Option<TraceId> {
        self.span
            .recorded_trace()
            .or_else(|| trace_of(self.headers))
    }

    /// Counts `total` records, of which a decoder has refused some before the others
    /// were delivered.
    pub(super) fn delivered(
        &self,
        delivered: Result<Settled, Problem>,
        total: usize,
        by_decoder: usize,
    ) -> Result<Settled, Problem> {
        match &delivered {
            Ok(settled) => self.settled(total, by_decoder + settled.rejected.len()),
            Err(problem) => self.failed(total, problem),
        }
        delivered
    }
}

const fn for_span(outcome: RecordsOutcome) -> SpanOutcome {
    match outcome {
        RecordsOutcome::Accepted => SpanOutcome::Accepted,
        RecordsOutcome::Rejected => SpanOutcome::Rejected,
        RecordsOutcome::Duplicate => SpanOutcome::Duplicate,
        RecordsOutcome::Busy => SpanOutcome::Busy,
        RecordsOutcome::Unknown => SpanOutcome::Unknown,
    }
}

/// What a problem means for the records of its request.
const fn outcome(problem: &Problem) -> RecordsOutcome {
    match problem {
        Problem::Unknown(_) => RecordsOutcome::Unknown,
        Problem::NotLeader
        | Problem::Elsewhere(_)
        | Problem::SlowBody
        | Problem::Full
        | Problem::Quota(_)
        | Problem::Busy(_)
        | Problem::Unavailable(_)
        | Problem::Stopping => RecordsOutcome::Busy,
        Problem::Malformed(_)
        | Problem::Denied(_)
        | Problem::CrossSite(_)
        | Problem::Forbidden(_)
        | Problem::NoStream(_)
        | Problem::TooLarge(_)
        | Problem::Unsupported(_)
        | Problem::Refused(_) => RecordsOutcome::Rejected,
    }
}
