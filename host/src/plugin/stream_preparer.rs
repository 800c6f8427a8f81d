//! Prepares the sinks of one stream. What is read, verified and compiled is shared
//! with the other streams; which sink was good is not.

use std::path::PathBuf;
use std::sync::Arc;

use super::candidate::{Candidate, Prepare, Trial};
use super::error::PluginError;
use super::manifest::Manifest;
use super::prepare::Preparer;
use super::source::{Source, Stamp};
use super::store::{Kept, StoreError};
use sluice_types::sink::BoxFuture;

/// Prepares the sinks of a stream other than the default one.
#[derive(Debug)]
pub(crate) struct StreamPreparer {
    shared: Arc<Preparer>,
    /// The file that names the last good sink.
    note: PathBuf,
}

impl StreamPreparer {
    /// Keeps the name of the last good sink in the file `note`.
    pub(crate) const fn new(shared: Arc<Preparer>, note: PathBuf) -> Self {
        Self { shared, note }
    }
}

impl Prepare for StreamPreparer {
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
        trial: Trial,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)> {
        Arc::clone(&self.shared).prepare(manifest, trial)
    }

    fn revive(self: Arc<Self>, kept: Kept) -> BoxFuture<'static, Option<Candidate>> {
        Arc::clone(&self.shared).revive(kept)
    }

    fn stamp(&self, source: &Source) -> Option<Stamp> {
        self.shared.stamp(source)
    }

    fn last_good(&self) -> Option<Kept> {
        self.shared.store.load_from(&self.note)
    }

    fn keep(&self, kept: &Kept, is_builtin: bool) -> Result<(), StoreError> {
        self.shared.store.keep_in(&self.note, kept, is_builtin)
    }
}
