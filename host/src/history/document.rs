//! The samples as one array per series, which a page can plot as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::meters::Meters;
use sluice_delivery::metrics::RecordsOutcome;

/// The history of a stream on one node. All arrays have as many values as `times`.
/// Rates are records per second, averaged since the sample before; durations are
/// in seconds, `null` if there were none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub(crate) struct HistoryDocument {
    /// The node's name.
    pub(crate) node: String,
    /// The time between two samples, in milliseconds.
    pub(crate) interval_ms: u64,
    /// In milliseconds since the Unix epoch, ascending.
    pub(crate) times: Vec<u64>,
    /// Records acknowledged per second, by protocol. Those that were not used are
    /// left out.
    pub(crate) records_in: BTreeMap<String, Vec<f32>>,
    /// Records per second of all protocols, by outcome.
    pub(crate) outcomes: BTreeMap<String, Vec<f32>>,
    /// Records per second that the sink confirmed.
    pub(crate) records_out: Vec<f32>,
    /// Per second.
    pub(crate) dead_lettered: Vec<f32>,
    /// Per second.
    pub(crate) retried: Vec<f32>,
    pub(crate) queue_records: Vec<u64>,
    pub(crate) queue_bytes: Vec<u64>,
    pub(crate) journal_records: Vec<u64>,
    pub(crate) journal_bytes: Vec<u64>,
    /// Percentiles of the sink's writes.
    pub(crate) write_seconds: WritePercentiles,
    /// Percentiles of the time from the receipt to the acknowledgement.
    pub(crate) acknowledge_seconds: AcknowledgePercentiles,
}

/// Percentiles of the sink's writes, in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub(crate) struct WritePercentiles {
    pub(crate) p50: Vec<Option<f32>>,
    pub(crate) p90: Vec<Option<f32>>,
    pub(crate) p99: Vec<Option<f32>>,
}

/// Percentiles of the time to the acknowledgement, in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub(crate) struct AcknowledgePercentiles {
    pub(crate) p50: Vec<Option<f32>>,
    pub(crate) p99: Vec<Option<f32>>,
}

impl HistoryDocument {
    pub(super) fn new<'a>(
        node: &str,
        interval_ms: u64,
        samples: impl Iterator<Item = &'a Sample>,
    ) -> Self {
        let mut document = Self {
            node: node.to_owned(),
            interval_ms,
            ..Self::default()
        };
        for sample in samples {
            document.add(sample);
        }
        let is_used = |rates: &Vec<f32>| rates.iter().any(|rate| *rate > 0.0);
        document.records_in.retain(|_, rates| is_used(rates));
        document
    }

    fn add(&mut self, sample: &Sample) {
        self.times.push(sample.time);
        for (name, rate) in Meters::names().zip(sample.accepted) {
            push(&mut self.records_in, name, rate);
        }
        for (outcome, rate) in RecordsOutcome::ALL.into_iter().zip(sample.outcomes) {
            push(&mut self.outcomes, outcome.name(), rate);
        }
        self.records_out.push(sample.delivered);
        self.dead_lettered.push(sample.dead_lettered);
        self.retried.push(sample.retried);
        let waiting = &sample.waiting;
        self.queue_records.push(waiting.queue_records);
        self.queue_bytes.push(waiting.queue_bytes);
        self.journal_records.push(waiting.journal_records);
        self.journal_bytes.push(waiting.journal_bytes);
        let [p50, p90, p99] = sample.write;
        self.write_seconds.p50.push(p50);
        self.write_seconds.p90.push(p90);
        self.write_seconds.p99.push(p99);
        let [p50, p99] = sample.acknowledge;
        self.acknowledge_seconds.p50.push(p50);
        self.acknowledge_seconds.p99.push(p99);
    }
}

fn push(series: &mut BTreeMap<String, Vec<f32>>, name: &str, value: f32) {
    if let Some(values) = series.get_mut(name) {
        values.push(value);
    } else {
        series.insert(name.to_owned(), vec![value]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn there_is_one_array_per_series_and_none_for_unused_protocols() {
        let samples = [Sample::fake(5000, 2.5), Sample::fake(10_000, 0.1)];
        let document = HistoryDocument::new("a", 5000, samples.iter());
        let value: Value = serde_json::to_value(&document).unwrap();
        let text = serde_json::to_string(&document).unwrap();
        assert!(text.contains("[2.5,0.1]"), "{text}");
        assert_eq!(value["times"], json!([5000, 10_000]));
        assert_eq!(value["records_in"].as_object().unwrap().len(), 1);
        assert_eq!(value["outcomes"].as_object().unwrap().len(), 5);
        assert_eq!(value["write_seconds"]["p90"], json!([null, null]));
        let read: HistoryDocument = serde_json::from_str(&text).unwrap();
        assert_eq!(read, document);
    }

    #[test]
    fn without_samples_everything_is_empty() {
        let document = HistoryDocument::new("a", 5000, std::iter::empty());
        assert_eq!((document.times.len(), document.records_in.len()), (0, 0));
    }
}
