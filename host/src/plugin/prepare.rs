//! From a manifest to a sink that could run: read, verify, compile, try.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::candidate::{Candidate, Prepare, Trial};
use super::ceiling::Ceiling;
use super::compile_notes::CompileNotes;
use super::digest::sha256;
use super::error::PluginError;
use super::manifest::Manifest;
use super::source::{Source, Stamp};
use super::store::{Kept, Store, StoreError};
use sluice_sandbox::{Code, Engine, NodeStdout, Prepared, Setup, core_instances};
use sluice_types::error_chain::chain;
use sluice_types::plugin::Identity;
use sluice_types::sink::BoxFuture;

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
    /// Where components are kept for a restart.
    pub(crate) store: Store,
    /// Remembers what was being compiled when the node was killed.
    pub(super) notes: CompileNotes,
    /// Held while a component is read: one at a time.
    pub(crate) turn: Mutex<()>,
}

/// A component that was read and verified.
struct Found {
    manifest: Manifest,
    identity: Identity,
    setup: Setup,
    component: Bytes,
    /// Its machine code, if it was compiled before.
    code: Option<Code>,
}

impl Prepare for Preparer {
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
        trial: Trial,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)> {
        Box::pin(async move {
            let done = Arc::clone(&self).in_turn(move |preparer| {
                let stamp = preparer.stamp(&manifest.source);
                let component = manifest.source.read(&preparer.plugin_dirs);
                let found = component
                    .map_err(PluginError::from)
                    .and_then(|component| preparer.inspect(component, manifest));
                (stamp, found)
            });
            match done.await {
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

    fn inspect_kept(&self, kept: &Kept) -> Result<Option<Found>, PluginError> {
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
        self.inspect(component, manifest).map(Some)
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
        let mut setup = self.ceiling.setup(&manifest)?;
        let limits = &mut setup.limits;
        limits.core_instances = core_instances(&component, limits.memory);
        if manifest.limits.concurrency.is_some_and(|wanted| wanted > 1) {
            tracing::warn!(
                plugin = identity.source,
                "limits.concurrency exceeds what this node gives: one write runs at a time"
            );
        }
        Ok(Found {
            code: self.engine.cached(&identity),
            manifest,
            identity,
            setup,
            component,
        })
    }

    /// Makes a sink of a component that was found.
    async fn make(
        self: Arc<Self>,
        mut found: Found,
        trial: Trial,
    ) -> Result<Candidate, PluginError> {
        let code = match found.code.take() {
            Some(code) => code,
            None => self.compile(&found, trial).await?,
        };
        let linking = spawn_blocking(move || self.link(found, &code));
        let (manifest, prepared) = linking.await.map_err(PluginError::Panicked)??;
        prepared.try_out().await?;
        Ok(Candidate::new(manifest, Arc::new(prepared)))
    }

    /// Compiles a component, in a process of its own. Dropping the future ends
    /// that.
    async fn compile(&self, found: &Found, trial: Trial) -> Result<Code, PluginError> {
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
        let noting = spawn_blocking(move || notes.begin(&noted, asked_at));
        let _note = noting
            .await
            .map_err(PluginError::Panicked)?
            .inspect_err(|error| {
                tracing::warn!(%error, "it cannot be noted on disk what is being compiled");
            });
        Ok(self
            .engine
            .compile(found.component.clone(), identity)
            .await?)
    }

    fn link(&self, found: Found, code: &Code) -> Result<(Manifest, Prepared), PluginError> {
        let digest = found.identity.sha256.clone();
        let stdout = self.stdout.clone();
        let prepared = Prepared::link(&self.engine, code, found.identity, found.setup, stdout)?;
        if !found.manifest.source.is_builtin()
            && let Err(error) = self.store.stage(&digest, &found.component)
        {
            let error = chain(&error);
            tracing::warn!(error, "the sink cannot be kept for a restart");
        }
        Ok((found.manifest, prepared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::PluginConfig;
    use sluice_sandbox::Compiler;
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    /// A node's preparer, as after its start.
    fn preparer(folder: &Path) -> Arc<Preparer> {
        let config = PluginConfig {
            default: "builtin:stdout".parse().unwrap(),
            dirs: vec![folder.to_owned()],
            allowed_dirs: Vec::new(),
            max_memory: 64 << 20,
            compiler: Compiler::InProcess,
        };
        let null = fs::File::options().write(true).open("/dev/null").unwrap();
        let stdout = NodeStdout::new(null.into()).unwrap();
        let data_dir = folder.join("data");
        fs::create_dir_all(&data_dir).unwrap();
        Arc::new(
            config
                .preparer(&data_dir, stdout, Duration::from_secs(5))
                .unwrap(),
        )
    }

    #[tokio::test]
    async fn what_the_node_was_killed_over_is_compiled_only_for_another_request() {
        let folder = tempfile::tempdir().unwrap();
        let component = crate::plugin::Builtin::Stdout.component();
        let file = folder.path().join("a.wasm");
        fs::write(&file, component).unwrap();
        let manifest: Manifest = format!("file://{}", file.display()).parse().unwrap();
        let prepare = async |trial| {
            let preparer = preparer(folder.path());
            preparer.prepare(manifest.clone(), trial).await.1
        };
        // Killed in the middle.
        let identity = Identity {
            source: manifest.source.to_string(),
            sha256: sha256(component),
        };
        let notes = preparer(folder.path()).notes.clone();
        std::mem::forget(notes.begin(&identity, 7).unwrap());

        for _ in 0..2 {
            let error = prepare(Trial::AskedAt(7)).await.unwrap_err();
            assert!(matches!(&error, PluginError::Interrupted { .. }), "{error}");
        }
        prepare(Trial::AskedAt(8)).await.unwrap();
        let data = fs::read_dir(folder.path().join("data/plugin")).unwrap();
        let names: Vec<_> = data.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [format!("{}.wasm", identity.sha256).as_str()]);
        // Compiled code is no reason for doubts.
        prepare(Trial::AskedAt(7)).await.unwrap();
    }
}
