//! What a stream has counted since the node's start.

use tokio::time::Instant;

use crate::meters::{Meters, PROTOCOLS};
use crate::stream::Stream;
use sluice_delivery::metrics::{DurationCounts, IngestMetrics, RecordsOutcome};

/// How many outcomes records have.
pub(super) const OUTCOMES: usize = RecordsOutcome::ALL.len();

/// Counts at some moment. They only grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) at: Instant,
    /// Records that clients were told are safe, by protocol.
    pub(super) accepted: [u64; PROTOCOLS],
    /// Records by outcome, of all protocols.
    pub(super) outcomes: [u64; OUTCOMES],
    /// Records that the sink confirmed.
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) retried: u64,
    /// The sink's writes.
    pub(super) write: DurationCounts,
    /// Acknowledgements, of all protocols.
    pub(super) acknowledge: DurationCounts,
}

impl Totals {
    pub(super) fn zero(at: Instant) -> Self {
        Self {
            at,
            accepted: [0; PROTOCOLS],
            outcomes: [0; OUTCOMES],
            delivered: 0,
            dead_lettered: 0,
            retried: 0,
            write: DurationCounts::default(),
            acknowledge: DurationCounts::default(),
        }
    }

    /// What the stream has counted up to now.
    pub(super) fn of(stream: &Stream) -> Self {
        let metrics = &stream.metrics;
        let mut totals = Self {
            delivered: metrics.delivered.get(),
            dead_lettered: metrics.dead_lettered.get(),
            retried: metrics.retried.get(),
            write: metrics.write_seconds.counts(),
            ..Self::zero(Instant::now())
        };
        totals.add(&stream.meters);
        totals
    }

    fn add(&mut self, meters: &Meters) {
        for (accepted, metrics) in self.accepted.iter_mut().zip(meters.used()) {
            let Some(metrics) = metrics else { continue };
            *accepted = metrics.records(RecordsOutcome::Accepted);
            self.acknowledge.add(&metrics.acknowledge().counts());
            add_outcomes(&mut self.outcomes, metrics);
        }
    }
}

fn add_outcomes(outcomes: &mut [u64; OUTCOMES], metrics: &IngestMetrics) {
    for (sum, outcome) in outcomes.iter_mut().zip(RecordsOutcome::ALL) {
        *sum += metrics.records(outcome);
    }
}
