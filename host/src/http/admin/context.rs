//! Where a node's answers about itself come from.

use std::sync::Arc;

use crate::history::Histories;
use crate::stream::Streams;
use sluice_delivery::metrics::Metrics;

/// What the admin routes read.
#[derive(Clone, Debug)]
pub(crate) struct AdminContext {
    /// The node's name.
    pub(crate) node: String,
    pub(crate) streams: Streams,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) histories: Arc<Histories>,
}
