//! From a manifest to a sink that could run: read, verify, compile, try.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::candidate::{Candidate, Prepare, Trial};
use super::ceiling::Ceiling;
use super::compile_notes::CompileNotes;
use super::digest::sha256;
use super::error::PluginError;
use super::manifest::Manifest;
use super::remote::Remote;
use super::source::{Builtin, PluginFile, RemoteSource, Source, Stamp};
use super::store::{Kept, Store, StoreError};
use super::trust::Trust;
use sluice_sandbox::{Code, Engine, NodeStdout, Prepared, Setup, core_instances};
use sluice_types::error_chain::chain;
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink};

/// Prepares sinks in the sandbox.
#[derive(Debug)]
pub(crate) struct Preparer {
    /// Loads and compiles components.
    pub(crate) engine: Engine,
    /// Where sinks print.
    pub(crate) stdout: NodeStdout,
    /// What manifests may ask for.
    pub(crate) ceiling: Ceiling,
    /// The directories that `file://` sources may be in.
    pub(crate) plugin_dirs: Vec<PathBuf>,
    /// Which components may run.
    pub(crate) trust: Trust,
    /// Where components are kept for a restart.
    pub(crate) store: Store,
    /// Fetches components that are not on this node.
    pub(crate) remote: Remote,
    /// Remembers what was being compiled when the node was killed.
    pub(super) notes: CompileNotes,
    /// Held while a component is read from this node's disk and digested: one at
    /// a time.
    pub(crate) turn: Mutex<()>,
    pub(super) codes: CodeTurns,
}

/// For each component whose code is being loaded or compiled, by its digest, a
/// lock that is held meanwhile: two tasks that need the same code do not compile
/// it twice, and share no note on disk.
#[derive(Debug, Default)]
pub(super) struct CodeTurns(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

/// A component that was read and verified.
struct Found {
    manifest: Manifest,
    identity: Identity,
    setup: Setup,
    component: Bytes,
}

/// What came of reading a source, and its stamp just before that.
type Read = (Option<Stamp>, Result<Found, PluginError>);

impl CodeTurns {
    fn of(&self, identity: &Identity) -> Arc<AsyncMutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&identity.sha256).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(identity.sha256.clone(), Arc::downgrade(&turn));
        turn
    }
}

impl Prepare for Preparer {
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
        trial: Trial,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)> {
        Box::pin(async move {
            let preparer = Arc::clone(&self);
            let found = match manifest.source.clone() {
                Source::Builtin(builtin) => preparer.take(builtin, manifest).await,
                Source::File(file) => preparer.read(file, manifest).await,
                Source::Remote(source) => preparer.fetch(source, manifest).await,
            };
            match found {
                Ok((stamp, Ok(found))) => (stamp, self.make(found, trial).await),
                Ok((stamp, Err(error))) => (stamp, Err(error)),
                Err(error) => (None, Err(error)),
            }
        })
    }

    fn revive(self: Arc<Self>, kept: Kept) -> BoxFuture<'static, Option<Candidate>> {
        Box::pin(async move {
            let preparer = Arc::clone(&self);
            let revived = match preparer.in_turn(move |p| p.inspect_kept(&kept)).await {
                Ok(Ok(Some(found))) => self.make(found, Trial::AskedAt(0)).await,
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

    /// Takes a component from the binary.
    async fn take(
        self: Arc<Self>,
        builtin: Builtin,
        manifest: Manifest,
    ) -> Result<Read, PluginError> {
        let component = Cow::Borrowed(builtin.component());
        self.in_turn(move |preparer| (None, preparer.inspect(component, manifest)))
            .await
    }

    /// Reads a component from a plugin directory.
    async fn read(
        self: Arc<Self>,
        file: PluginFile,
        manifest: Manifest,
    ) -> Result<Read, PluginError> {
        self.in_turn(move |preparer| {
            let stamp = file.stamp(&preparer.plugin_dirs);
            let component = file.read(&preparer.plugin_dirs);
            let found = component
                .map_err(PluginError::from)
                .and_then(|component| preparer.inspect(Cow::Owned(component), manifest));
            (stamp, found)
        })
        .await
    }

    /// Takes a component from the store, or fetches it and stores it, unless the
    /// manifest asks for too much. What others wait for does not wait for that.
    async fn fetch(
        self: Arc<Self>,
        source: RemoteSource,
        manifest: Manifest,
    ) -> Result<Read, PluginError> {
        self.ceiling.setup(&manifest)?;
        self.trust.check_signer(&manifest)?;
        let pinned = Arc::clone(&self).pinned(&manifest).await?;
        let component = match Arc::clone(&self).stored(pinned.as_deref()).await? {
            Some(component) => component,
            None => {
                Arc::clone(&self)
                    .fetched(&source, pinned.as_deref())
                    .await?
            }
        };
        let preparer = Arc::clone(&self);
        let inspected = self.in_turn(move |p| p.inspect(Cow::Owned(component), manifest));
        let found = match inspected.await? {
            Ok(found) => found,
            Err(error) => return Ok((None, Err(error))),
        };
        // Not in turn: a slow disk holds up nothing else.
        let staging = spawn_blocking(move || {
            preparer.stage(&found.identity, &found.component);
            found
        });
        let found = staging.await.map_err(PluginError::Panicked)?;
        Ok((None, Ok(found)))
    }

    /// The digest that the component must have. Of a manifest that worked before and
    /// whose source cannot change, that is the one that it had.
    async fn pinned(self: Arc<Self>, manifest: &Manifest) -> Result<Option<String>, PluginError> {
        if let Some(pinned) = manifest.pinned() {
            return Ok(Some(pinned.to_owned()));
        }
        if !manifest.source.is_immutable() {
            return Ok(None);
        }
        let loading = spawn_blocking(move || self.store.load());
        let kept = loading.await.map_err(PluginError::Panicked)?;
        let kept = kept.filter(|kept| kept.manifest == manifest.to_string());
        Ok(kept.map(|kept| kept.sha256))
    }

    async fn fetched(
        self: Arc<Self>,
        source: &RemoteSource,
        pinned: Option<&str>,
    ) -> Result<Vec<u8>, PluginError> {
        let located = self.remote.locate(source).await?;
        let known = located.sha256();
        if let (Some(expected), Some(found)) = (pinned, known)
            && expected != found
        {
            return Err(PluginError::Digest {
                source_name: located.source().to_string(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
        match Arc::clone(&self).stored(known).await? {
            Some(component) => Ok(component),
            None => Ok(self.remote.fetch(&located).await?),
        }
    }

    /// The component with this digest, if it is in the store.
    async fn stored(self: Arc<Self>, digest: Option<&str>) -> Result<Option<Vec<u8>>, PluginError> {
        let Some(digest) = digest.map(str::to_owned) else {
            return Ok(None);
        };
        let reading = spawn_blocking(move || self.store.component(&digest));
        reading.await.map_err(PluginError::Panicked)
    }

    fn inspect_kept(&self, kept: &Kept) -> Result<Option<Found>, PluginError> {
        let Ok(manifest) = kept.manifest.parse::<Manifest>() else {
            return Ok(None);
        };
        let component = match &manifest.source {
            Source::Builtin(builtin) => Some(Cow::Borrowed(builtin.component())),
            Source::File(_) | Source::Remote(_) => {
                self.store.component(&kept.sha256).map(Cow::Owned)
            }
        };
        let inspected = component.map(|component| self.inspect(component, manifest));
        inspected.transpose()
    }

    fn inspect(
        &self,
        component: Cow<'static, [u8]>,
        manifest: Manifest,
    ) -> Result<Found, PluginError> {
        let component = match component {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let identity = Identity {
            source: manifest.source.to_string(),
            sha256: sha256(&component),
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
        self.trust.check(&manifest, &component, &identity.sha256)?;
        let mut setup = self.ceiling.setup(&manifest)?;
        let limits = &mut setup.limits;
        limits.core_instances = core_instances(&component, limits.memory);
        Ok(Found {
            manifest,
            identity,
            setup,
            component,
        })
    }

    /// Makes a sink of a component that was found.
    async fn make(self: Arc<Self>, found: Found, trial: Trial) -> Result<Candidate, PluginError> {
        let code = Arc::clone(&self).code(&found, trial).await?;
        let preparer = Arc::clone(&self);
        let linking = spawn_blocking(move || preparer.link(found, &code));
        let (manifest, prepared) = linking.await.map_err(PluginError::Panicked)??;
        prepared.try_out().await?;
        Ok(Candidate::new(manifest, prepared))
    }

    /// Loads the code of a component that was compiled before, or compiles it.
    async fn code(self: Arc<Self>, found: &Found, trial: Trial) -> Result<Code, PluginError> {
        let turn = self.codes.of(&found.identity).lock_owned().await;
        let (preparer, identity) = (Arc::clone(&self), found.identity.clone());
        let loading = spawn_blocking(move || {
            let code = preparer.engine.cached(&identity)?;
            // Compiling it has succeeded since, or the node was killed just after.
            preparer.notes.forget(&identity);
            Some(code)
        });
        match loading.await.map_err(PluginError::Panicked)? {
            Some(code) => Ok(code),
            None => self.compile(found, trial, turn).await,
        }
    }

    /// Compiles a component, in a process of its own. Dropping the future ends
    /// that.
    async fn compile(
        &self,
        found: &Found,
        trial: Trial,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Code, PluginError> {
        let identity = &found.identity;
        let asked_at = match trial {
            Trial::AskedAt(index) => index,
            Trial::Always => 0,
        };
        if trial != Trial::Always
            && let Some(note) = self.notes.interrupted(identity, asked_at)
        {
            let source_name = identity.source.clone();
            return Err(PluginError::Interrupted { source_name, note });
        }
        let (notes, noted) = (self.notes.clone(), identity.clone());
        // The turn ends after the note is removed, also if this future is dropped.
        let noting = spawn_blocking(move || (notes.begin(&noted, asked_at), turn));
        let noted = noting.await.map_err(PluginError::Panicked)?;
        if let (Err(error), _) = &noted {
            tracing::warn!(%error, "it cannot be noted on disk what is being compiled");
        }
        let compiled = self.engine.compile(found.component.clone(), identity).await;
        drop(noted);
        Ok(compiled?)
    }

    fn link(&self, found: Found, code: &Code) -> Result<(Manifest, Arc<Prepared>), PluginError> {
        let identity = found.identity.clone();
        let stdout = self.stdout.clone();
        let prepared = Prepared::link(&self.engine, code, found.identity, found.setup, stdout)?;
        let prepared = Arc::new(prepared);
        let sink: Arc<dyn Sink> = prepared.clone();
        self.store.keep_for(&sink);
        if !found.manifest.source.is_builtin() {
            self.stage(&identity, &found.component);
        }
        Ok((found.manifest, prepared))
    }

    fn stage(&self, identity: &Identity, component: &[u8]) {
        if let Err(error) = self.store.stage(&identity.sha256, component) {
            let error = chain(&error);
            tracing::warn!(error, "the sink cannot be kept for a restart");
        }
    }
}

#[cfg(test)]
mod tests;
