//! What clients send, by protocol: records by outcome, and how long they wait for
//! the acknowledgement.
//!
//! The histogram is written here: the registry's library has exemplars only behind
//! a lock that every observation takes.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::durations::{BUCKETS, DurationHistogram};
use super::names::{ACKNOWLEDGE, INGEST_RECORDS, MetricName, PREFIX, STREAM};
use sluice_types::trace::TraceId;

/// The label that names a protocol.
pub(super) const PROTOCOL: &str = "protocol";
type RecordLabels = [(&'static str, String); 3];

/// What became of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOutcome {
    /// Acknowledged.
    Accepted,
    /// Refused for good, by a decoder or by the sink.
    Rejected,
    /// Acknowledged because they were before.
    Duplicate,
    /// Certainly not delivered; the client is to send them again.
    Busy,
    /// Offered to the sink and not confirmed.
    Unknown,
}

impl RecordsOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Rejected,
        Self::Duplicate,
        Self::Busy,
        Self::Unknown,
    ];

    /// The value of the label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::Unknown => "unknown",
        }
    }
}

/// The metrics of one protocol of one stream.
#[derive(Debug)]
pub struct IngestMetrics {
    records: [Counter; RecordsOutcome::ALL.len()],
    acknowledge: DurationHistogram,
    /// The last observation with a trace, in each bucket.
    exemplars: Mutex<[Option<Exemplar>; BUCKETS]>,
}

#[derive(Clone, Copy, Debug)]
struct Exemplar {
    trace: TraceId,
    took: Duration,
    /// Since the Unix epoch.
    at: Duration,
}

impl IngestMetrics {
    /// Counts records.
    pub fn count(&self, outcome: RecordsOutcome, records: usize) {
        if records > 0
            && let Some(counter) = self.records.get(outcome as usize)
        {
            counter.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        }
    }

    /// Counts records that were settled so long after their receipt: `total`, of
    /// which `rejected` were refused for good.
    pub fn settled(&self, took: Duration, trace: Option<TraceId>, total: usize, rejected: usize) {
        self.count(RecordsOutcome::Accepted, total.saturating_sub(rejected));
        self.count(RecordsOutcome::Rejected, rejected);
        self.acknowledged(took, trace);
    }

    /// Counts an acknowledgement so long after the receipt.
    pub fn acknowledged(&self, took: Duration, trace: Option<TraceId>) {
        let bucket = self.acknowledge.observe_in(took);
        if let Some(trace) = trace {
            self.keep_exemplar(bucket, trace, took);
        }
    }

    /// Any example will do, so nobody waits for another thread that keeps one.
    fn keep_exemplar(&self, bucket: usize, trace: TraceId, took: Duration) {
        if let Ok(mut exemplars) = self.exemplars.try_lock()
            && let Some(exemplar) = exemplars.get_mut(bucket)
        {
            let at = SystemTime::now().duration_since(UNIX_EPOCH);
            let at = at.unwrap_or_default();
            *exemplar = Some(Exemplar { trace, took, at });
        }
    }

    /// How many records had this outcome.
    #[must_use]
    pub fn records(&self, outcome: RecordsOutcome) -> u64 {
        self.records.get(outcome as usize).map_or(0, Counter::get)
    }

    /// How long acknowledgements took.
    #[must_use]
    pub const fn acknowledge(&self) -> &DurationHistogram {
        &self.acknowledge
    }

    fn exemplars(&self) -> MutexGuard<'_, [Option<Exemplar>; BUCKETS]> {
        self.exemplars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, text: &mut String, labels: &str, with_exemplars: bool) -> fmt::Result {
        let name = name();
        let counts = self.acknowledge.counts();
        let (sum, total) = (counts.sum().as_secs_f64(), counts.total());
        writeln!(text, "{name}_sum{{{labels}}} {sum:?}")?;
        writeln!(text, "{name}_count{{{labels}}} {total}")?;
        let exemplars = *self.exemplars();
        let mut below = 0;
        for ((bound, count), exemplar) in counts.buckets().zip(exemplars) {
            below += count;
            match bound.is_infinite() {
                true => write!(text, "{name}_bucket{{le=\"+Inf\",{labels}}} {below}")?,
                false => write!(text, "{name}_bucket{{le=\"{bound}\",{labels}}} {below}")?,
            }
            if let Some(Exemplar { trace, took, at }) = exemplar.filter(|_| with_exemplars) {
                let (took, at) = (took.as_secs_f64(), at.as_secs_f64());
                write!(text, " # {{trace_id=\"{trace}\"}} {took:?} {at:.3}")?;
            }
            text.push('\n');
        }
        Ok(())
    }
}

fn name() -> String {
    format!("{PREFIX}_{}_seconds", ACKNOWLEDGE.name)
}

fn labels(stream: &str, protocol: &str, outcome: RecordsOutcome) -> RecordLabels {
    [
        (STREAM, stream.to_owned()),
        (PROTOCOL, protocol.to_owned()),
        ("outcome", outcome.name().to_owned()),
    ]
}

/// By stream and protocol.
type Known = BTreeMap<(String, &'static str), Arc<IngestMetrics>>;

/// The metrics of all protocols of all streams. Those of a protocol appear when it
/// is used first.
#[derive(Clone, Debug)]
pub(super) struct Ingests {
    records: Family<RecordLabels, Counter>,
    known: Arc<Mutex<Known>>,
}

impl Ingests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let records = Family::default();
        let MetricName { name, help, .. } = INGEST_RECORDS;
        registry.register(name, help, records.clone());
        Self {
            records,
            known: Arc::default(),
        }
    }

    pub(super) fn of(&self, stream: &str, protocol: &'static str) -> Arc<IngestMetrics> {
        let mut known = self.lock();
        let metrics = known.entry((stream.to_owned(), protocol));
        let make = || {
            let counter = |outcome: RecordsOutcome| {
                self.records
                    .get_or_create_owned(&labels(stream, protocol, outcome))
            };
            Arc::new(IngestMetrics {
                records: RecordsOutcome::ALL.map(counter),
                acknowledge: DurationHistogram::default(),
                exemplars: Mutex::default(),
            })
        };
        Arc::clone(metrics.or_insert_with(make))
    }

    /// Removes what a stream has.
    pub(super) fn remove(&self, stream: &str) {
        self.lock().retain(|(of, protocol), _| {
            let is_other = of != stream;
            if !is_other {
                for outcome in RecordsOutcome::ALL {
                    self.records.remove(&labels(stream, protocol, outcome));
                }
            }
            is_other
        });
    }

    /// Writes the histograms.
    pub(super) fn write(&self, text: &mut String, with_exemplars: bool) -> fmt::Result {
        let (name, help) = (name(), ACKNOWLEDGE.help);
        writeln!(text, "# HELP {name} {help}.")?;
        writeln!(text, "# TYPE {name} histogram")?;
        writeln!(text, "# UNIT {name} seconds")?;
        for ((stream, protocol), metrics) in &*self.lock() {
            let labels = format!("{STREAM}=\"{stream}\",{PROTOCOL}=\"{protocol}\"");
            metrics.write(text, &labels, with_exemplars)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Format, Metrics};
    use sluice_types::trace::TraceContext;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn records_are_counted_by_stream_protocol_and_outcome() {
        let metrics = Metrics::new();
        let loki = metrics.stream("default").ingest("loki");
        loki.settled(Duration::from_millis(1), None, 5, 2);
        metrics
            .stream("default")
            .ingest("loki")
            .count(RecordsOutcome::Busy, 7);
        metrics
            .stream("audit")
            .ingest("loki")
            .settled(Duration::from_secs(60), None, 1, 0);
        let text = metrics.encode(Format::Plain);
        for line in [
            "sluice_ingest_records_total{stream=\"default\",protocol=\"loki\",outcome=\"accepted\"} 3",
            "sluice_ingest_records_total{stream=\"default\",protocol=\"loki\",outcome=\"rejected\"} 2",
            "sluice_ingest_records_total{stream=\"default\",protocol=\"loki\",outcome=\"busy\"} 7",
            "sluice_ingest_records_total{stream=\"default\",protocol=\"loki\",outcome=\"unknown\"} 0",
            "sluice_acknowledge_seconds_sum{stream=\"default\",protocol=\"loki\"} 0.001",
            "sluice_acknowledge_seconds_bucket{le=\"0.000512\",stream=\"default\",protocol=\"loki\"} 0",
            "sluice_acknowledge_seconds_bucket{le=\"0.001024\",stream=\"default\",protocol=\"loki\"} 1",
            "sluice_acknowledge_seconds_bucket{le=\"16.777216\",stream=\"audit\",protocol=\"loki\"} 0",
            "sluice_acknowledge_seconds_bucket{le=\"+Inf\",stream=\"audit\",protocol=\"loki\"} 1",
            "sluice_acknowledge_seconds_count{stream=\"audit\",protocol=\"loki\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("syslog"), "{text}");
        assert_eq!(loki.records(RecordsOutcome::Busy), 7);
    }

    #[test]
    fn an_observation_keeps_its_trace_for_openmetrics_only() {
        let metrics = Metrics::new();
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let trace = TraceContext::of_traceparent(header.as_bytes()).map(|context| context.trace);
        let native = metrics.stream("default").ingest("native");
        native.settled(Duration::from_millis(1), trace, 1, 0);
        native.settled(Duration::from_millis(9), None, 1, 0);
        let text = metrics.encode(Format::OpenMetrics);
        let traced: Vec<_> = text.lines().filter(|line| line.contains(TRACE)).collect();
        let [line] = traced[..] else { panic!("{text}") };
        let start = "sluice_acknowledge_seconds_bucket{le=\"0.001024\",stream=\"default\",\
                     protocol=\"native\"} 1 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.001 ";
        assert!(line.starts_with(start), "{line}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(!metrics.encode(Format::Plain).contains(TRACE));
    }
}
