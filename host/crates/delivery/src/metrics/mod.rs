//! The metrics of a node and of its streams.

#[cfg(test)]
mod documented_tests;
mod durations;
mod families;
mod ingest;
mod names;
mod node;
mod stream;

pub use durations::{DurationCounts, DurationHistogram};
pub use ingest::{IngestMetrics, RecordsOutcome};
pub use node::{Format, ListenerMetrics, Metrics};
pub(crate) use stream::WriteUnderWay;
pub use stream::{StreamMetrics, StreamReadings};
