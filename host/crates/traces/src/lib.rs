//! Samples traces, and exports their spans by OTLP. Only this crate knows
//! OpenTelemetry's crates; the rest of the node makes spans as `sluice_types::trace`
//! defines them.
//!
//! What ends a span only puts it into a bounded buffer. A thread of its own takes them
//! from there and sends them.

mod buffer;
mod config;
mod exporting;
mod node;
mod node_tracer;
mod resource;
mod sampler;
mod span_data;
mod start;
mod variables;

pub use config::TracesConfig;
pub use exporting::{Counted, Exporting};
pub use node::Node;
pub use node_tracer::NodeTracer;
pub use start::{StartError, start};
pub use variables::ConfigError;
