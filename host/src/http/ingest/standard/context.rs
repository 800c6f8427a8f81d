//! What the handlers of standard protocols work with.

use std::sync::Arc;
use std::time::Duration;

use super::found::NodeFacts;
use super::relay::Relay;
use crate::http::ingest::service::Ingest;

/// What the handlers of standard protocols work with.
#[derive(Debug)]
pub(crate) struct Standard {
    pub(super) ingest: Arc<Ingest>,
    /// Sends requests to the leader.
    pub(super) relay: Arc<Relay>,
    /// What clients are told about this node.
    pub(super) facts: NodeFacts,
    /// How long requests wait for a leader or for room.
    pub(super) park: Duration,
}

impl Standard {
    /// `park` says how long requests wait for a leader or for room.
    pub(crate) fn new(
        ingest: Arc<Ingest>,
        relay: Arc<Relay>,
        facts: NodeFacts,
        park: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            ingest,
            relay,
            facts,
            park,
        })
    }
}
