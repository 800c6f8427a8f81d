//! From a manifest to a sink that could run: read, verify, compile, try out.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::ceiling::{Beyond, Ceiling};
use super::manifest::Manifest;
use super::source::{Source, SourceError, Stamp, sha256};
use super::store::{Kept, Store};
use sluice_sandbox::{Engine, NodeStdout, PrepareError, Prepared};
use sluice_types::error_chain::chain;
use sluice_types::plugin::Identity;
use sluice_types::sink::Sink;

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
    /// Another one was asked for meanwhile.
    #[error("prepare the sink: another one was asked for meanwhile")]
    Superseded,
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
    pub sink: Arc<dyn Sink>,
    /// The index of the key when it was last asked for.
    asked: AtomicU64,
}

impl Candidate {
    pub(crate) fn new(manifest: Manifest, sink: Arc<dyn Sink>) -> Self {
        Self {
            manifest,
            sink,
            asked: AtomicU64::new(0),
        }
    }

    /// The same, asked for by another manifest that comes to the same.
    pub(super) fn asked_by(self, manifest: Manifest) -> Self {
        Self { manifest, ..self }
    }

    /// Remembers the index of the key that asks for it; 0: none does.
    pub(super) fn asked_at(&self, index: u64) {
        self.asked.store(index, Ordering::Relaxed);
    }

    /// The index of the key that last asked for it; 0: none did.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Which component it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.sink.identity()
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
    /// Held by who compiles.
    pub turn: Mutex<()>,
}

impl Preparer {
    /// Prepares what a manifest asks for, and says what its source looked like
    /// just before it was read.
    ///
    /// # Errors
    /// Says what to change.
    pub async fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
    ) -> (Option<Stamp>, Result<Candidate, PluginError>) {
        let done = self.in_turn(move |preparer| {
            let stamp = manifest.source.stamp();
            let component = manifest.source.read(&preparer.plugin_dirs);
            let compiled = component
                .map_err(PluginError::from)
                .and_then(|component| preparer.compile(&component, manifest));
            (stamp, compiled)
        });
        match done.await {
            Ok((stamp, Ok(compiled))) => (stamp, try_out(compiled).await),
            Ok((stamp, Err(error))) => (stamp, Err(error)),
            Err(error) => (None, Err(error)),
        }
    }

    /// Prepares a sink that was kept on disk; `None` if that does not work.
    pub async fn revive(self: Arc<Self>, kept: Kept) -> Option<Candidate> {
        let compiled = self.in_turn(move |preparer| preparer.compile_kept(&kept));
        let revived = match compiled.await {
            Ok(Ok(Some(compiled))) => try_out(compiled).await,
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

    /// Does what takes long on a thread for that, one at a time, unless nobody
    /// waits for it any more when its turn comes.
    async fn in_turn<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, PluginError> {
        let wanted = Arc::new(());
        let still = Arc::downgrade(&wanted);
        let working = spawn_blocking(move || {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            (still.strong_count() > 0).then(|| work(&self))
        });
        let done = working.await.map_err(PluginError::Panicked)?;
        drop(wanted);
        done.ok_or(PluginError::Superseded)
    }

    fn compile_kept(&self, kept: &Kept) -> Result<Option<(Manifest, Prepared)>, PluginError> {
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

    fn compile(
        &self,
        component: &[u8],
        manifest: Manifest,
    ) -> Result<(Manifest, Prepared), PluginError> {
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
        if matches!(manifest.source, Source::File(_))
            && let Err(error) = self.store.stage(&digest, component)
        {
            tracing::warn!(
                error = chain(&error),
                "the sink can not be kept for a restart"
            );
        }
        Ok((manifest, prepared))
    }
}

async fn try_out((manifest, prepared): (Manifest, Prepared)) -> Result<Candidate, PluginError> {
    prepared.try_out().await?;
    Ok(Candidate::new(manifest, Arc::new(prepared)))
}
