//! Keeps the last sink that works on disk.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::candidate::{Candidate, Prepare};
use super::store::Kept;
use sluice_types::error_chain::chain;

#[derive(Debug)]
pub(super) struct LastGood {
    preparer: Arc<dyn Prepare>,
    /// What is on disk.
    kept: Option<Kept>,
}

impl LastGood {
    /// `kept` is what is on disk.
    pub(super) const fn new(preparer: Arc<dyn Prepare>, kept: Option<Kept>) -> Self {
        Self { preparer, kept }
    }

    /// Keeps the candidate unless it is the one on disk. A failure is logged.
    pub(super) async fn keep(&mut self, candidate: &Candidate) {
        let kept = candidate.kept();
        if self.kept.as_ref() == Some(&kept) {
            return;
        }
        let (preparer, note) = (Arc::clone(&self.preparer), kept.clone());
        let is_builtin = candidate.manifest.source.is_builtin();
        let error = match spawn_blocking(move || preparer.keep(&note, is_builtin)).await {
            Ok(Ok(())) => {
                self.kept = Some(kept);
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(error) => chain(&error),
        };
        tracing::warn!(error, "the last good sink cannot be kept on disk");
    }
}
