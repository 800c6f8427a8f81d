//! Counts what becomes of the records of a request.

use axum::http::HeaderMap;
use tokio::time::Instant;

use super::service::Settled;
use crate::http::problem::Problem;
use crate::meters::trace_of;
use crate::stream::Stream;
use sluice_delivery::metrics::{IngestMetrics, RecordsOutcome};
use sluice_protocols::tokens::Protocol;

/// A request that is to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    metrics: &'a IngestMetrics,
    headers: &'a HeaderMap,
    begun: Instant,
}

impl<'a> Counted<'a> {
    /// A request with these headers, whose head was received at `begun`.
    pub(super) fn new(
        stream: &'a Stream,
        protocol: Protocol,
        headers: &'a HeaderMap,
        begun: Instant,
    ) -> Self {
        Self {
            metrics: stream.meters.route(protocol),
            headers,
            begun,
        }
    }

    /// All of its records are settled; so many were refused for good.
    pub(super) fn settled(&self, total: usize, rejected: usize) {
        let (took, trace) = (self.begun.elapsed(), trace_of(self.headers));
        self.metrics.settled(took, trace, total, rejected);
    }

    /// Its records were acknowledged before.
    pub(super) fn duplicate(&self, records: usize) {
        self.metrics.count(RecordsOutcome::Duplicate, records);
        let (took, trace) = (self.begun.elapsed(), trace_of(self.headers));
        self.metrics.acknowledged(took, trace);
    }

    /// A decoder has refused all of its records.
    pub(super) fn rejected(&self, records: usize) {
        self.metrics.count(RecordsOutcome::Rejected, records);
    }

    /// None of its records is settled; so many are known.
    pub(super) fn failed(&self, records: usize, problem: &Problem) {
        self.metrics.count(outcome(problem), records);
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

/// What a problem means for the records of its request.
const fn outcome(problem: &Problem) -> RecordsOutcome {
    match problem {
        Problem::Unknown(_) => RecordsOutcome::Unknown,
        Problem::NotLeader
        | Problem::Elsewhere(_)
        | Problem::SlowBody
        | Problem::Full
        | Problem::Unavailable(_)
        | Problem::Busy(_)
        | Problem::Stopping => RecordsOutcome::Busy,
        Problem::Malformed(_)
        | Problem::Unauthorized
        | Problem::CrossSite(_)
        | Problem::Forbidden(_)
        | Problem::TooLarge(_)
        | Problem::Unsupported(_)
        | Problem::NoStream(_)
        | Problem::Refused(_) => RecordsOutcome::Rejected,
    }
}
