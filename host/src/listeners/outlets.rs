//! What the listeners of all streams share.

use std::sync::Arc;

use super::gather::{Gatherer, Sending};
use super::log::Seldom;
use super::outlet::Outlet;
use crate::http::ingest::{Ingest, Relay};
use sluice_protocols::memory_budget::MemoryBudget;

/// How many of the largest messages may have been read and not decoded.
const UNREAD_BODIES: usize = 4;

/// Where all listeners of a node deliver.
#[derive(Debug)]
pub(crate) struct Outlets {
    ingest: Arc<Ingest>,
    relay: Arc<Relay>,
    unread: Arc<MemoryBudget>,
}

impl Outlets {
    pub(crate) fn new(ingest: Arc<Ingest>, relay: Arc<Relay>) -> Self {
        Self {
            unread: MemoryBudget::new(UNREAD_BODIES * ingest.limits.body),
            ingest,
            relay,
        }
    }

    /// The outlet of the listeners for this stream.
    pub(super) fn outlet(&self, stream: &Arc<str>) -> Outlet {
        let sending = Sending {
            relay: Arc::clone(&self.relay),
            stream: Arc::clone(stream),
            memory: Arc::clone(self.ingest.memory()),
            limit: self.ingest.limits.request,
            most: self.ingest.limits.records,
        };
        Outlet {
            stream: Arc::clone(stream),
            ingest: Arc::clone(&self.ingest),
            to_leader: Gatherer::start(sending),
            unread: Arc::clone(&self.unread),
            waits: Seldom::default(),
        }
    }
}
