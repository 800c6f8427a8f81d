//! From a manifest to a sink that could run: read, verify, compile, try out.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::ceiling::{Beyond, Ceiling};
use super::manifest::Manifest;
use super::source::{Source, SourceError, sha256};
use super::store::{Kept, Store};
use crate::error_chain::chain;
use crate::sink::{Engine, Identity, NodeStdout, PrepareError, Prepared};

/// Why a manifest gives no sink.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The component can not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is another one.
    #[error(
        "verify {source_name}: its SHA-256 is {found}, but the manifest says {expected}; put the \
         right component there, or set sha256 to the digest of the one that you mean"
    )]
    Digest {
        /// Where it came from.
        source_name: String,
        /// The manifest's digest.
        expected: String,
        /// The component's.
        found: String,
    },
    /// It asks for too much.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// It is no sink.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A defect.
    #[error("prepare the sink; this is a defect, please report it")]
    Panicked(#[source] JoinError),
}

/// A sink that could run, and what asked for it.
#[derive(Debug)]
pub struct Candidate {
    /// What asked for it.
    pub manifest: Manifest,
    /// Ready to be opened.
    pub prepared: Arc<Prepared>,
}

impl Candidate {
    /// Which component it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.prepared.identity()
    }

    /// Whether the other would do just the same.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.is_of(&other.manifest, &other.identity().sha256)
    }

    /// Whether it is the component with this digest, run by this manifest.
    pub(super) fn is_of(&self, manifest: &Manifest, sha256: &str) -> bool {
        self.manifest == *manifest && self.identity().sha256 == sha256
    }

    /// As it is noted on disk.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            manifest: self.manifest.to_string(),
            sha256: self.identity().sha256.clone(),
        }
    }
}

/// Makes candidates.
#[derive(Debug)]
pub struct Preparer {
    /// Compiles.
    pub engine: Engine,
    /// Where sinks print.
    pub stdout: NodeStdout,
    /// What manifests may ask for.
    pub ceiling: Ceiling,
    /// Where `file://` sources may lie.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where components are laid down.
    pub store: Store,
}

impl Preparer {
    /// Prepares what a manifest asks for.
    ///
    /// # Errors
    /// Says what to change.
    pub async fn prepare(self: Arc<Self>, manifest: Manifest) -> Result<Candidate, PluginError> {
        let preparer = Arc::clone(&self);
        let compiling = spawn_blocking(move || {
            let component = manifest.source.read(&preparer.plugin_dirs)?;
            preparer.compile(&component, manifest)
        });
        try_out(compiling.await.map_err(PluginError::Panicked)??).await
    }

    /// Prepares a sink that was kept on disk; `None` if that does not work.
    pub async fn revive(self: Arc<Self>, kept: Kept) -> Option<Candidate> {
        let preparer = Arc::clone(&self);
        let compiling = spawn_blocking(move || preparer.compile_kept(&kept));
        let revived = match compiling.await.map_err(PluginError::Panicked) {
            Ok(Ok(Some(candidate))) => try_out(candidate).await,
            Ok(Ok(None)) => return None,
            Ok(Err(error)) | Err(error) => Err(error),
        };
        revived
            .inspect_err(|error| {
                tracing::warn!(
                    error = chain(error),
                    "the last good sink on disk is of no use"
                );
            })
            .ok()
    }

    fn compile_kept(&self, kept: &Kept) -> Result<Option<Candidate>, PluginError> {
        let Ok(manifest) = kept.manifest.parse::<Manifest>() else {
            return Ok(None);
        };
        let component = match manifest.source {
            Source::Builtin(_) => manifest.source.read(&[])?,
            Source::File(_) => match self.store.component(&kept.sha256) {
                Some(component) => Cow::Owned(component),
                None => return Ok(None),
            },
        };
        self.compile(&component, manifest).map(Some)
    }

    fn compile(&self, component: &[u8], manifest: Manifest) -> Result<Candidate, PluginError> {
        let identity = Identity {
            source: manifest.source.to_string(),
            sha256: sha256(component),
        };
        if let Some(expected) = &manifest.sha256
            && *expected != identity.sha256
        {
            return Err(PluginError::Digest {
                source_name: identity.source,
                expected: expected.clone(),
                found: identity.sha256,
            });
        }
        let setup = self.ceiling.setup(&manifest)?;
        if manifest.limits.concurrency.is_some_and(|wanted| wanted > 1) {
            tracing::warn!(
                plugin = identity.source,
                "limits.concurrency is above what this node gives: one write runs at a time"
            );
        }
        let digest = identity.sha256.clone();
        let stdout = self.stdout.clone();
        let prepared = Prepared::compile(&self.engine, component, identity, setup, stdout)?;
        if manifest.source != Source::Builtin(super::source::Builtin::Stdout)
            && let Err(error) = self.store.stage(&digest, component)
        {
            tracing::warn!(
                error = chain(&error),
                "the sink can not be kept for a restart"
            );
        }
        Ok(Candidate {
            manifest,
            prepared: Arc::new(prepared),
        })
    }
}

async fn try_out(candidate: Candidate) -> Result<Candidate, PluginError> {
    candidate.prepared.try_out().await?;
    Ok(candidate)
}
