//! The routes that take messages.
//!
//! A handler turns a body into records, submits them, waits for their outcome
//! and answers; `answer` alone knows the status codes.

mod answer;
mod body;
mod decode;
mod forward;
#[cfg(test)]
mod fuzz;
pub(super) mod handlers;
mod record_json;
mod time;

pub use forward::{Follower, ForwardError, Forwarder};
pub use handlers::{Authorization, Ingest, IngestLimits};
