//! A sink that could run, and the border between what makes such sinks and
//! what decides about them.

use std::fmt::Debug;
use std::sync::Arc;

use super::error::PluginError;
use super::manifest::Manifest;
use super::source::{Source, Stamp};
use super::store::{Kept, StoreError};
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink};

/// A sink that is ready to be opened, and the manifest that asked for it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(super) manifest: Manifest,
    /// Opens instances.
    pub(crate) sink: Arc<dyn Sink>,
}

impl Candidate {
    /// Pairs a sink with the manifest that it was prepared from.
    #[must_use]
    pub(crate) const fn new(manifest: Manifest, sink: Arc<dyn Sink>) -> Self {
        Self { manifest, sink }
    }

    /// The component's source and digest.
    #[must_use]
    pub(crate) fn identity(&self) -> &Identity {
        self.sink.identity()
    }

    /// Whether the other one would behave the same.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.is_of(&other.manifest, &other.identity().sha256)
    }

    /// Whether it is the component with this digest, run by this manifest.
    pub(super) fn is_of(&self, manifest: &Manifest, sha256: &str) -> bool {
        self.manifest == *manifest && self.identity().sha256 == sha256
    }

    /// What to write on disk when it has proved to work.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            manifest: self.manifest.to_string(),
            sha256: self.identity().sha256.clone(),
        }
    }
}

/// What to do with a component that was being compiled when the node was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Compile it only for a new request: if the key was written at this index,
    /// and not yet when the node was killed. 0 stands for anything but the key.
    AskedAt(u64),
    /// Compile it all the same.
    Always,
}

/// Makes candidates, and keeps the last good one on disk. The controller's
/// tests have their own.
pub(crate) trait Prepare: Debug + Send + Sync {
    /// Prepares what a manifest asks for. Returns as well the stamp that the
    /// source had just before it was read. Dropping the future gives the
    /// preparation up.
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
        trial: Trial,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)>;

    /// Prepares a sink from the copy that was kept on disk; `None` if that
    /// does not work.
    fn revive(self: Arc<Self>, kept: Kept) -> BoxFuture<'static, Option<Candidate>>;

    /// A value that changes when the source's content does; `None` if it never
    /// changes, or cannot be read at the moment. Blocks.
    fn stamp(&self, source: &Source) -> Option<Stamp>;

    /// The sink that was kept last; `None` if there is none.
    fn last_good(&self) -> Option<Kept>;

    /// Keeps a sink in place of the last one. Blocks until it is on disk. The
    /// component of a sink that is not `builtin` must have been prepared
    /// before.
    ///
    /// # Errors
    /// It cannot be written; the last one stays.
    fn keep(&self, kept: &Kept, is_builtin: bool) -> Result<(), StoreError>;
}
