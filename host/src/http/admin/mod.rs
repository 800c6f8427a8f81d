//! What operators and monitors are shown of a node.

mod context;
pub(super) mod health;
pub(super) mod metrics;
pub(super) mod status;

pub(crate) use context::AdminContext;
pub(crate) use status::Status;
