//! From a manifest to a sink that could run: read, verify, compile, try.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

use super::candidate::{Candidate, Prepare};
use super::ceiling::Ceiling;
use super::digest::sha256;
use super::error::PluginError;
use super::manifest::Manifest;
use super::source::{Source, Stamp};
use super::store::{Kept, Store, StoreError};
use sluice_sandbox::{Engine, NodeStdout, Prepared, core_instances};
use sluice_types::error_chain::chain;
use sluice_types::plugin::Identity;
use sluice_types::sink::BoxFuture;

/// Prepares sinks in the sandbox.
#[derive(Debug)]
pub(crate) struct Preparer {
    /// Compiles components.
    pub(crate) engine: Engine,
    /// Where sinks print.
    pub(crate) stdout: NodeStdout,
    /// What manifests may ask for.
    pub(crate) ceiling: Ceiling,
    /// The directories that `file://` sources may be in.
    pub(crate) plugin_dirs: Vec<PathBuf>,
    /// Where components are kept for a restart.
    pub(crate) store: Store,
    /// Held while a component is compiled: one at a time.
    pub(crate) turn: Mutex<()>,
}

impl Prepare for Preparer {
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)> {
        Box::pin(async move {
            let done = self.in_turn(move |preparer| {
                let stamp = preparer.stamp(&manifest.source);
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
        })
    }

    fn revive(self: Arc<Self>, kept: Kept) -> BoxFuture<'static, Option<Candidate>> {
        Box::pin(async move {
            let compiled = self.in_turn(move |preparer| preparer.compile_kept(&kept));
            let revived = match compiled.await {
                Ok(Ok(Some(compiled))) => try_out(compiled).await,
                Ok(Ok(None)) => return None,
                Ok(Err(error)) | Err(error) => Err(error),
            };
            revived
                .inspect_err(|error| {
                    let error = chain(error);
                    tracing::warn!(error, "the last good sink on disk cannot be used");
                })
                .ok()
        })
    }

    fn stamp(&self, source: &Source) -> Option<Stamp> {
        source.stamp(&self.plugin_dirs)
    }

    fn last_good(&self) -> Option<Kept> {
        self.store.load()
    }

    fn keep(&self, kept: &Kept, is_builtin: bool) -> Result<(), StoreError> {
        self.store.keep(kept, is_builtin)
    }
}

impl Preparer {
    /// Does slow work on a blocking thread, one at a time. Work whose future
    /// was dropped before its turn is skipped.
    async fn in_turn<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, PluginError> {
        let wanted = Arc::new(());
        let still_wanted = Arc::downgrade(&wanted);
        let working = spawn_blocking(move || {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            (still_wanted.strong_count() > 0).then(|| work(&self))
        });
        let done = working.await.map_err(PluginError::Panicked)?;
        drop(wanted);
        done.ok_or(PluginError::Superseded)
    }

    fn compile_kept(&self, kept: &Kept) -> Result<Option<(Manifest, Prepared)>, PluginError> {
        let Ok(manifest) = kept.manifest.parse::<Manifest>() else {
            return Ok(None);
        };
        let component = if manifest.source.is_builtin() {
            manifest.source.read(&[])?
        } else if let Some(component) = self.store.component(&kept.sha256) {
            Cow::Owned(component)
        } else {
            return Ok(None);
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
        let mut setup = self.ceiling.setup(&manifest)?;
        let limits = &mut setup.limits;
        limits.core_instances = core_instances(component, limits.memory);
        if manifest.limits.concurrency.is_some_and(|wanted| wanted > 1) {
            tracing::warn!(
                plugin = identity.source,
                "limits.concurrency exceeds what this node gives: one write runs at a time"
            );
        }
        let digest = identity.sha256.clone();
        let stdout = self.stdout.clone();
        let prepared = Prepared::compile(&self.engine, component, identity, setup, stdout)?;
        if !manifest.source.is_builtin()
            && let Err(error) = self.store.stage(&digest, component)
        {
            let error = chain(&error);
            tracing::warn!(error, "the sink cannot be kept for a restart");
        }
        Ok((manifest, prepared))
    }
}

async fn try_out((manifest, prepared): (Manifest, Prepared)) -> Result<Candidate, PluginError> {
    prepared.try_out().await?;
    Ok(Candidate::new(manifest, Arc::new(prepared)))
}
