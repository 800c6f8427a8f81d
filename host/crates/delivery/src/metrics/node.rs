//! The metrics of a node, and the text that they are read as.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::families::Families;
use super::ingest::Ingests;
use super::names::{
    self, CONNECTIONS, LISTENER_CONNECTIONS, LISTENER_DROPPED, LISTENER_NO_STREAM, MetricName,
    SINK_REFUSED, SPANS,
};
use super::stream::StreamMetrics;

/// The form of the text that metrics are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics.
    OpenMetrics,
    /// Prometheus' older text format, in which the additions of OpenMetrics are
    /// comments. It has no exemplars.
    Plain,
}

impl Format {
    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The name and value of a label.
type Label = [(&'static str, &'static str); 1];

/// The metrics of the listeners of one protocol.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// Open connections.
    pub connections: Gauge,
    /// Datagrams that could not be kept.
    pub dropped: Counter,
    /// Attempts to deliver to a stream that is not there.
    pub no_stream: Counter,
}

/// The registry of a node, with the metrics that belong to no stream.
#[derive(Debug)]
pub struct Metrics {
    /// Open client connections.
    pub connections: Gauge,
    refused: Family<Label, Counter>,
    listener_connections: Family<Label, Gauge>,
    listener_dropped: Family<Label, Counter>,
    listener_no_stream: Family<Label, Counter>,
    spans: Family<Label, Counter>,
    ingests: Ingests,
    families: Mutex<Families>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry without streams.
    #[must_use]
    pub fn new() -> Self {
        let mut families = Families::new();
        let registry = &mut families.registry;
        let connections = registered(registry, CONNECTIONS);
        let refused = registered(registry, SINK_REFUSED);
        let listener_connections = registered(registry, LISTENER_CONNECTIONS);
        let listener_dropped = registered(registry, LISTENER_DROPPED);
        let listener_no_stream = registered(registry, LISTENER_NO_STREAM);
        let spans = registered(registry, SPANS);
        let ingests = Ingests::register(registry);
        Self {
            connections,
            ingests,
            refused,
            listener_connections,
            listener_dropped,
            listener_no_stream,
            spans,
            families: Mutex::new(families),
        }
    }

    /// The metrics of the stream with this name. Calls with the same name share
    /// their samples.
    #[must_use]
    pub fn stream(&self, name: &str) -> Arc<StreamMetrics> {
        Arc::new(StreamMetrics::new(
            &mut self.lock(),
            self.ingests.clone(),
            name,
        ))
    }

    /// Removes the samples of a stream that is closed. What still counts for it is lost.
    pub fn remove(&self, stream: &str) {
        self.lock().remove(&[(names::STREAM, stream.to_owned())]);
        self.ingests.remove(stream);
    }

    /// The metrics of the listeners of this protocol.
    #[must_use]
    pub fn listener(&self, protocol: &'static str) -> ListenerMetrics {
        let label = [("protocol", protocol)];
        ListenerMetrics {
            connections: self.listener_connections.get_or_create_owned(&label),
            dropped: self.listener_dropped.get_or_create_owned(&label),
            no_stream: self.listener_no_stream.get_or_create_owned(&label),
        }
    }

    /// Counts spans that ended so: `exported`, `dropped` or `failed`.
    #[must_use]
    pub fn spans(&self, outcome: &'static str) -> Counter {
        self.spans.get_or_create_owned(&[("outcome", outcome)])
    }

    /// Counts what a sink tried and may not do.
    pub fn sink_refused(&self, kind: &'static str) {
        self.refused.get_or_create(&[("kind", kind)]).inc();
    }

    /// The metrics of the node and all of its streams as text.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        if self.write(&mut text, format).is_err() {
            tracing::error!("failed to encode the metrics");
        }
        text
    }

    fn write(&self, text: &mut String, format: Format) -> fmt::Result {
        encode_registry(text, &self.lock().registry)?;
        self.ingests.write(text, format == Format::OpenMetrics)?;
        encode_eof(text)
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A metric that belongs to no stream.
fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: MetricName) -> M {
    let MetricName { name, help, .. } = name;
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RecordsOutcome;
    use std::time::Duration;

    #[test]
    fn each_stream_has_samples_of_its_own_below_one_description() {
        let metrics = Metrics::new();
        metrics.stream("default").accepted.inc_by(2);
        metrics.stream("audit").accepted.inc();
        metrics.stream("default").accepted.inc();
        metrics
            .stream("audit")
            .write_seconds
            .observe(Duration::from_millis(100));
        metrics.connections.inc();
        let text = metrics.encode(Format::OpenMetrics);
        let count = |line: &str| text.lines().filter(|found| *found == line).count();
        let samples = [
            "sluice_records_accepted_total{stream=\"default\"} 3",
            "sluice_records_accepted_total{stream=\"audit\"} 1",
            "sluice_sink_write_seconds_count{stream=\"audit\"} 1",
            "sluice_sink_write_seconds_count{stream=\"default\"} 0",
            "sluice_lease_remaining_seconds{stream=\"default\"} 0.0",
            "sluice_connections 1",
        ];
        for line in samples {
            assert_eq!(count(line), 1, "{line} in\n{text}");
        }
        let described = "# TYPE sluice_records_accepted counter";
        assert_eq!(count(described), 1, "{text}");
    }

    #[test]
    fn a_closed_stream_has_no_samples() {
        let metrics = Metrics::new();
        for name in ["default", "audit"] {
            let stream = metrics.stream(name);
            stream.accepted.inc_by(60);
            stream.write_seconds.observe(Duration::from_secs(1));
            stream.ingest("loki").count(RecordsOutcome::Accepted, 1);
        }
        metrics.remove("audit");
        let text = metrics.encode(Format::OpenMetrics);
        assert!(!text.contains("audit"), "{text}");
        let accepted = "sluice_records_accepted_total{stream=\"default\"} 60";
        assert!(text.contains(accepted), "{text}");
        // It may come back.
        metrics.stream("audit").accepted.inc();
        let accepted = "sluice_records_accepted_total{stream=\"audit\"} 1";
        assert!(metrics.encode(Format::OpenMetrics).contains(accepted));
    }
}
