//! Where a node's answers about itself come from.

use std::sync::Arc;

use axum::http::request::Parts;

use crate::history::Histories;
use crate::stream::{Stream, Streams};
use sluice_access::Access;
use sluice_delivery::metrics::Metrics;

use crate::http::chosen;
use crate::http::problem::Problem;

/// What the admin routes read.
#[derive(Clone, Debug)]
pub(crate) struct AdminContext {
    /// The node's name.
    pub(crate) node: String,
    pub(crate) streams: Streams,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Arc<Access>,
    pub(crate) histories: Arc<Histories>,
}

impl AdminContext {
    /// The stream that a request is for.
    ///
    /// # Errors
    /// There is none of this name, or it names two.
    pub(super) fn stream_of(&self, head: &Parts) -> Result<Arc<Stream>, Problem> {
        chosen::stream_of(&self.streams, &head.extensions, &head.headers)
    }
}
