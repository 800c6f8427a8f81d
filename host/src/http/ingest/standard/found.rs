//! What a request of a standard protocol is.

use std::sync::Arc;

use bytes::Bytes;

use super::exchange::Exchange;
use sluice_protocols::answer::Answer;
use sluice_protocols::meter::Meter;

/// What this node tells clients about itself.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    /// The node's name.
    pub(crate) name: String,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The version of Elasticsearch that clients take this for.
    pub(crate) elasticsearch_version: String,
}

/// What is to be done with a request.
pub(super) enum Found {
    /// Every node answers it by itself.
    Answer(Answer),
    /// So is this, once its body is read.
    Question(Question),
    /// It has records for the leader.
    Exchange(Arc<dyn Exchange>),
    /// It is the upload of a journal, of any length.
    Upload,
}

/// Answers a body.
pub(super) type Question = Box<dyn FnOnce(&Bytes, &mut Meter) -> Answer + Send>;

impl Found {
    pub(super) fn question(
        answer: impl FnOnce(&Bytes, &mut Meter) -> Answer + Send + 'static,
    ) -> Self {
        Self::Question(Box::new(answer))
    }

    pub(super) fn exchange(exchange: impl Exchange + 'static) -> Self {
        Self::Exchange(Arc::new(exchange))
    }
}
