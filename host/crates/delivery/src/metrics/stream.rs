//! The metrics of one stream.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::durations::DurationHistogram;
use super::families::{Families, SecondsGauge, StreamLabel};
use super::ingest::{IngestMetrics, Ingests};
use super::names;

/// Counters that grow for the life of the process, and gauges that are set
/// before the metrics are read.
#[derive(Debug)]
pub struct StreamMetrics {
    /// Records taken into the queue.
    pub accepted: Counter,
    /// Records whose producer was told that they are safe.
    pub acknowledged: Counter,
    /// Records that the sink confirmed.
    pub delivered: Counter,
    /// Records that were refused for good, by a decoder or by the sink.
    pub rejected: Counter,
    /// Records, bodies and connections that a decoder refused.
    pub decoder_rejects: Counter,
    /// Of these, those that are not or no longer kept for operators.
    pub decoder_rejects_dropped: Counter,
    /// Records kept as dead letters.
    pub dead_lettered: Counter,
    /// Records offered to the sink again.
    pub retried: Counter,
    /// Instances of the sink that broke.
    pub sink_restarts: Counter,
    /// Sinks that replaced another within a tenure.
    pub sink_swaps: Counter,
    /// Sinks on probation that gave way to their predecessor.
    pub sink_rollbacks: Counter,
    /// The duration of the sink's `write` calls.
    pub write_seconds: DurationHistogram,
    /// The duration of the journal's syncs.
    pub journal_sync_seconds: DurationHistogram,
    /// How long it took until a message of the replicated journal was stored.
    pub journal_publish_seconds: DurationHistogram,
    /// Messages of the replicated journal that were missing.
    pub journal_missing: Counter,
    /// Bytes of the journal that could not be read at the start.
    pub journal_damaged_bytes: Counter,
    /// Records of this node's journal that the leader took over.
    pub transferred: Counter,
    /// Requests that ended with 429.
    pub queue_full: Counter,
    /// Requests that ended with 504.
    pub unknown: Counter,
    /// The stream's name.
    name: String,
    ingests: Ingests,
    lease_renewals_late: Counter,
    plugin_failed: Gauge,
    journal_limit_bytes: Gauge,
    writes: Gauge,
    queue_records: Gauge,
    queue_bytes: Gauge,
    journal_records: Gauge,
    journal_bytes: Gauge,
    leader: Gauge,
    epoch: Gauge,
    lease_remaining: SecondsGauge,
    delivery_stalled: SecondsGauge,
}

/// A write of the sink, for as long as it is under way.
#[derive(Debug)]
pub(crate) struct WriteUnderWay(Gauge);

impl Drop for WriteUnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a stream's gauges show.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamReadings {
    /// Records in the queue or being offered.
    pub queue_records: usize,
    /// The bytes of these records.
    pub queue_bytes: usize,
    /// Records in the journal that are still to be delivered.
    pub journal_records: u64,
    /// The journal's size on disk, in bytes.
    pub journal_bytes: u64,
    /// The size at which the journal takes nothing more; 0 without a journal.
    pub journal_limit_bytes: u64,
    /// Whether the sink that is asked for cannot run, or was taken back.
    pub plugin_failed: bool,
    /// How many proofs of leadership came late since the start.
    pub lease_renewals_late: u64,
    /// Whether this node leads with a valid lease.
    pub leader: bool,
    /// The highest epoch that this node knows.
    pub epoch: u64,
    /// How long the lease is still valid.
    pub lease_remaining: Duration,
    /// How long the delivery has stalled; zero if it has not.
    pub delivery_stalled: Duration,
}

impl StreamMetrics {
    pub(super) fn new(families: &mut Families, ingests: Ingests, stream: &str) -> Self {
        let label: StreamLabel = [(names::STREAM, stream.to_owned())];
        let label = &label;
        Self {
            name: stream.to_owned(),
            ingests,
            lease_renewals_late: families.counter(names::LEASE_RENEWALS_LATE, label),
            plugin_failed: families.gauge(names::PLUGIN_FAILED, label),
            journal_limit_bytes: families.gauge(names::JOURNAL_LIMIT_BYTES, label),
            accepted: families.counter(names::RECORDS_ACCEPTED, label),
            acknowledged: families.counter(names::RECORDS_ACKNOWLEDGED, label),
            delivered: families.counter(names::RECORDS_DELIVERED, label),
            transferred: families.counter(names::RECORDS_TRANSFERRED, label),
            journal_missing: families.counter(names::JOURNAL_MISSING, label),
            journal_damaged_bytes: families.counter(names::JOURNAL_DAMAGED_BYTES, label),
            rejected: families.counter(names::RECORDS_REJECTED, label),
            decoder_rejects: families.counter(names::DECODER_REJECTS, label),
            decoder_rejects_dropped: families.counter(names::DECODER_REJECTS_DROPPED, label),
            dead_lettered: families.counter(names::RECORDS_DEAD_LETTERED, label),
            retried: families.counter(names::RECORDS_RETRIED, label),
            sink_restarts: families.counter(names::SINK_RESTARTS, label),
            sink_swaps: families.counter(names::SINK_SWAPS, label),
            sink_rollbacks: families.counter(names::SINK_ROLLBACKS, label),
            queue_full: families.counter(names::REQUESTS_QUEUE_FULL, label),
            unknown: families.counter(names::REQUESTS_UNKNOWN, label),
            writes: families.gauge(names::SINK_WRITES, label),
            queue_records: families.gauge(names::QUEUE_RECORDS, label),
            queue_bytes: families.gauge(names::QUEUE_BYTES, label),
            journal_records: families.gauge(names::JOURNAL_RECORDS, label),
            journal_bytes: families.gauge(names::JOURNAL_BYTES, label),
            leader: families.gauge(names::LEADER, label),
            epoch: families.gauge(names::EPOCH, label),
            write_seconds: families.histogram(names::SINK_WRITE, label),
            journal_sync_seconds: families.histogram(names::JOURNAL_SYNC, label),
            journal_publish_seconds: families.histogram(names::JOURNAL_PUBLISH, label),
            lease_remaining: families.seconds(names::LEASE_REMAINING, label),
            delivery_stalled: families.seconds(names::DELIVERY_STALLED, label),
        }
    }

    /// The metrics of a protocol by which clients send to this stream.
    #[must_use]
    pub fn ingest(&self, protocol: &'static str) -> Arc<IngestMetrics> {
        self.ingests.of(&self.name, protocol)
    }

    /// Counts a write of the sink as under way.
    pub(crate) fn write_under_way(&self) -> WriteUnderWay {
        self.writes.inc();
        WriteUnderWay(self.writes.clone())
    }

    /// Sets the gauges, to be called before [`Metrics::encode`](super::Metrics::encode).
    pub fn set(&self, readings: StreamReadings) {
        set(&self.queue_records, readings.queue_records);
        set(&self.queue_bytes, readings.queue_bytes);
        set(&self.journal_records, readings.journal_records);
        set(&self.journal_bytes, readings.journal_bytes);
        set(&self.journal_limit_bytes, readings.journal_limit_bytes);
        set(&self.plugin_failed, u8::from(readings.plugin_failed));
        let late = &self.lease_renewals_late;
        late.inc_by(readings.lease_renewals_late.saturating_sub(late.get()));
        set(&self.leader, u8::from(readings.leader));
        set(&self.epoch, readings.epoch);
        self.lease_remaining
            .set(readings.lease_remaining.as_secs_f64());
        self.delivery_stalled
            .set(readings.delivery_stalled.as_secs_f64());
    }
}

fn set(gauge: &Gauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}
