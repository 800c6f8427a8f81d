//! What operators and monitors are shown of a node.

mod context;
mod delivery_status;
pub(super) mod health;
pub(super) mod history;
pub(super) mod metrics;
pub(super) mod status;
pub(super) mod streams;

pub(crate) use context::AdminContext;
pub(crate) use delivery_status::StallStatus;
pub(crate) use status::{Counters, Status};
pub(crate) use streams::{StreamDocument, StreamsDocument};
