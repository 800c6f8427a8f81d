//! The metrics of a node and of its streams.

mod families;
mod names;
mod node;
mod stream;

pub use node::{ListenerMetrics, Metrics, OPENMETRICS, PLAIN};
pub(crate) use stream::WriteUnderWay;
pub use stream::{StreamMetrics, StreamReadings};
