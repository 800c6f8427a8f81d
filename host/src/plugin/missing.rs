//! Stands in for a sink that could not be prepared.

use std::sync::Arc;

use super::candidate::Candidate;
use super::manifest::Manifest;
use sluice_types::outcome::{Failure, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink, SinkInstance};

/// A sink that never opens.
#[derive(Debug)]
struct Missing(Identity);

/// A candidate that never opens, in place of what this manifest asks for.
pub(super) fn missing(manifest: Manifest) -> Candidate {
    let identity = Identity {
        source: manifest.source.to_string(),
        sha256: String::new(),
    };
    Candidate::new(manifest, Arc::new(Missing(identity)))
}

impl Candidate {
    /// Whether there is a sink behind it.
    pub(crate) fn is_missing(&self) -> bool {
        self.identity().sha256.is_empty()
    }
}

impl Sink for Missing {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        let reason = "the stream has no sink: the one that is asked for cannot be prepared";
        Box::pin(async move { Err(WriteError::Failed(Failure::Permanent(reason.to_owned()))) })
    }
}
