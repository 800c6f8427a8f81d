//! Every metric of a node, and their names.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::encode`]'s text, for who asks for it. Its
/// text is also good as [`PLAIN`], whose comments are its additions.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Prometheus' older text format.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters that grow for the life of the process, and gauges that are set
/// when they are read.
#[derive(Debug)]
pub struct Metrics {
    /// Records taken into the queue.
    pub accepted: Counter,
    /// Records whose producer was told that they are safe.
    pub acknowledged: Counter,
    /// Records that the sink confirmed.
    pub delivered: Counter,
    /// Records that were refused for good, by a decoder or by the sink.
    pub rejected: Counter,
    /// Records set aside.
    pub dead_lettered: Counter,
    /// Records offered again.
    pub retried: Counter,
    /// Instances of the sink that broke.
    pub sink_restarts: Counter,
    /// Sinks that took over from another within a tenure.
    pub sink_swaps: Counter,
    /// How long the calls of `write` took.
    pub write_seconds: Histogram,
    /// How long the journal's syncs took.
    pub journal_sync_seconds: Histogram,
    /// Bytes of the journal that could not be read at the start.
    pub journal_damaged_bytes: Counter,
    /// Records of the journal that the leader took over.
    pub handed_over: Counter,
    /// Requests that ended with 429.
    pub queue_full: Counter,
    /// Requests that ended with 504.
    pub unknown: Counter,
    /// Open client connections.
    pub connections: Gauge,
    queue_records: Gauge,
    queue_bytes: Gauge,
    journal_records: Gauge,
    journal_bytes: Gauge,
    leader: Gauge,
    epoch: Gauge,
    lease_seconds: Gauge<f64, AtomicU64>,
    registry: Mutex<Registry>,
}

/// What gauges show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    /// Records in the queue or being offered.
    pub queue_records: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// Records in the journal that are still to be delivered.
    pub journal_records: u64,
    /// The journal's size.
    pub journal_bytes: u64,
    /// Whether this node leads, its lease being valid.
    pub leader: bool,
    /// The highest epoch that this node knows.
    pub epoch: u64,
    /// How long its lease is still valid.
    pub lease: std::time::Duration,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            accepted: Counter::default(),
            acknowledged: Counter::default(),
            delivered: Counter::default(),
            rejected: Counter::default(),
            dead_lettered: Counter::default(),
            retried: Counter::default(),
            sink_restarts: Counter::default(),
            sink_swaps: Counter::default(),
            // 16 µs to 16 s.
            write_seconds: Histogram::new(exponential_buckets(16e-6, 2.0, 21)),
            journal_sync_seconds: Histogram::new(exponential_buckets(16e-6, 2.0, 21)),
            journal_damaged_bytes: Counter::default(),
            handed_over: Counter::default(),
            queue_full: Counter::default(),
            unknown: Counter::default(),
            connections: Gauge::default(),
            queue_records: Gauge::default(),
            queue_bytes: Gauge::default(),
            journal_records: Gauge::default(),
            journal_bytes: Gauge::default(),
            leader: Gauge::default(),
            epoch: Gauge::default(),
            lease_seconds: Gauge::default(),
            registry: Mutex::new(Registry::with_prefix("sluice")),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut guard = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = &mut *guard;
        self.register_counters(registry);
        self.register_gauges(registry);
        let durations = [
            (
                "sink_write",
                "Duration of the sink's write",
                &self.write_seconds,
            ),
            (
                "journal_sync",
                "Duration of the journal's syncs",
                &self.journal_sync_seconds,
            ),
        ];
        for (name, help, histogram) in durations {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register_with_unit(
            "lease_remaining",
            "How long the lease still holds",
            Unit::Seconds,
            self.lease_seconds.clone(),
        );
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters = [
            (
                "records_accepted",
                "Records taken into the queue",
                &self.accepted,
            ),
            (
                "records_acknowledged",
                "Records acknowledged to their producers",
                &self.acknowledged,
            ),
            (
                "records_delivered",
                "Records that the sink confirmed",
                &self.delivered,
            ),
            (
                "records_handed_over",
                "Records of the journal that the leader took over",
                &self.handed_over,
            ),
            (
                "journal_damaged_bytes",
                "Bytes of the journal that could not be read at the start",
                &self.journal_damaged_bytes,
            ),
            (
                "records_rejected",
                "Records refused for good",
                &self.rejected,
            ),
            (
                "records_dead_lettered",
                "Records set aside",
                &self.dead_lettered,
            ),
            (
                "records_retried",
                "Records offered to the sink again",
                &self.retried,
            ),
            (
                "sink_restarts",
                "Instances of the sink that broke",
                &self.sink_restarts,
            ),
            (
                "sink_swaps",
                "Sinks that took over from another without a change of leader",
                &self.sink_swaps,
            ),
            (
                "requests_queue_full",
                "Requests answered 429",
                &self.queue_full,
            ),
            ("requests_unknown", "Requests answered 504", &self.unknown),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let gauges = [
            ("connections", "Open client connections", &self.connections),
            (
                "queue_records",
                "Records waiting or being offered",
                &self.queue_records,
            ),
            (
                "queue_bytes",
                "Bytes waiting or being offered",
                &self.queue_bytes,
            ),
            (
                "journal_records",
                "Records in the journal that are still to be delivered",
                &self.journal_records,
            ),
            (
                "journal_bytes",
                "The journal's size on disk",
                &self.journal_bytes,
            ),
            ("leader", "1 while this node may acknowledge", &self.leader),
            ("epoch", "The highest epoch this node knows", &self.epoch),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    /// The Prometheus (OpenMetrics) text, gauges as given.
    #[must_use]
    pub fn encode(&self, readings: Readings) -> String {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_records.set(signed(readings.queue_records));
        self.queue_bytes.set(signed(readings.queue_bytes));
        let unsigned = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.journal_records.set(unsigned(readings.journal_records));
        self.journal_bytes.set(unsigned(readings.journal_bytes));
        self.leader.set(i64::from(readings.leader));
        self.epoch
            .set(i64::try_from(readings.epoch).unwrap_or(i64::MAX));
        self.lease_seconds.set(readings.lease.as_secs_f64());
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("failed to encode the metrics");
        }
        text
    }
}
