//! The HTTP requests that a manifest asks for.

use std::num::NonZero;
use std::sync::Arc;

use sluice_types::origin::Origin;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::secrets::SecretHeader;

/// The most requests of a sink that are under way at a time, for each write that it
/// may have at a time.
pub const MAX_REQUESTS: usize = 16;
/// What a manifest asks for, for all instances of its sink.
#[derive(Debug)]
pub(crate) struct WantedHttp {
    /// The origins of requests.
    origins: Vec<Origin>,
    /// The headers that the node adds.
    headers: Vec<SecretHeader>,
    places: Arc<Semaphore>,
}

impl WantedHttp {
    /// Whether the manifest lists this origin.
    pub(super) fn lists(&self, origin: &Origin) -> bool {
        self.origins.contains(origin)
    }

    /// A place among the requests under way, if one is free.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The headers for one origin.
    pub(super) fn headers_for(&self, origin: &Origin) -> impl Iterator<Item = &SecretHeader> {
        let headers = self.headers.iter();
        headers.filter(move |header| header.origin == *origin)
    }

    /// For a sink with so many writes at a time.
    pub(crate) fn new(
        origins: Vec<Origin>,
        headers: Vec<SecretHeader>,
        concurrency: NonZero<usize>,
    ) -> Self {
        Self {
            origins,
            headers,
            places: Arc::new(Semaphore::new(MAX_REQUESTS * concurrency.get())),
        }
    }
}
