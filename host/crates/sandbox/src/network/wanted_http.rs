//! The HTTP requests that a manifest asks for.

use std::num::NonZero;
use std::sync::Arc;

use sluice_types::origin::Origin;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::secrets::SecretHeader;
use super::signing::Signing;

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
    /// The signatures that the node adds.
    signing: Vec<Signing>,
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

    /// How requests to one origin are signed, if they are.
    pub(super) fn signing_for(&self, origin: &Origin) -> Option<&Signing> {
        self.signing
            .iter()
            .find(|signing| signing.origin == *origin)
    }

    /// For a sink with so many writes at a time.
    pub(crate) fn new(
        origins: Vec<Origin>,
        headers: Vec<SecretHeader>,
        signing: Vec<Signing>,
        concurrency: NonZero<usize>,
    ) -> Self {
        Self {
            origins,
            headers,
            signing,
            places: Arc::new(Semaphore::new(MAX_REQUESTS * concurrency.get())),
        }
    }
}
