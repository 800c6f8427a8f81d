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
use super::source::{Source, Stamp};
use super::store::{Kept, Store, StoreError};
use super::trust::Trust;
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
    /// Which components may run.
    pub(crate) trust: Trust,
    /// Where components are kept for a restart.
    pub(crate) store: Store,
    /// Remembers what was being compiled when the node was killed.
    pub(super) notes: CompileNotes,
    /// Held while a component is read: one at a time.
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
        let linking = spawn_blocking(move || self.link(found, &code));
        let (manifest, prepared) = linking.await.map_err(PluginError::Panicked)??;
        prepared.try_out().await?;
        Ok(Candidate::new(manifest, Arc::new(prepared)))
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
    use sluice_sandbox::{CompileLimits, CompileProgram, Compiler, NetworkCeiling, Refusals};
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// A node's preparer, as after its start.
    fn preparer(folder: &Path) -> Arc<Preparer> {
        preparer_with(folder, Compiler::InProcess)
    }

    /// A preparer whose compiler is a shell script that runs in the folder.
    fn preparer_with_script(folder: &Path, script: &str) -> Arc<Preparer> {
        let script = format!("cd {} && {script}", folder.display());
        let program = CompileProgram {
            program: "/bin/sh".into(),
            arguments: ["-c", &script, "compiler"].map(str::to_owned).into(),
            variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            limits: CompileLimits {
                memory: 64 << 20,
                time: Duration::from_secs(60),
            },
        };
        preparer_with(folder, Compiler::Child(program))
    }

    fn preparer_with(folder: &Path, compiler: Compiler) -> Arc<Preparer> {
        let config = PluginConfig {
            default: "builtin:stdout".parse().unwrap(),
            dirs: vec![folder.to_owned()],
            trust: Trust::default(),
            compiled_key: None,
            allowed_dirs: Vec::new(),
            network: NetworkCeiling::default(),
            secrets: Vec::new(),
            max_memory: 64 << 20,
            compiler,
        };
        let null = fs::File::options().write(true).open("/dev/null").unwrap();
        let stdout = NodeStdout::new(null.into()).unwrap();
        let data_dir = folder.join("data");
        fs::create_dir_all(&data_dir).unwrap();
        Arc::new(
            config
                .preparer(
                    &data_dir,
                    stdout,
                    Duration::from_secs(5),
                    Refusals::new(|_| ()),
                )
                .unwrap(),
        )
    }

    /// A source that is in the folder and no component.
    fn source_in(folder: &Path) -> Manifest {
        let file = folder.join("a.wasm");
        fs::write(&file, "a").unwrap();
        format!("file://{}", file.display()).parse().unwrap()
    }

    /// The names of the notes and components that a preparer has on disk.
    fn plugin_files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join("data/plugin")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_component_is_not_compiled_twice_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = source_in(folder.path());
        let script = "mkdir running && sleep 0.3 && rmdir running && echo refused >&2; exit 3";
        let preparer = preparer_with_script(folder.path(), script);
        let prepare = || Arc::clone(&preparer).prepare(manifest.clone(), Trial::AskedAt(1));
        let ((_, first), (_, second)) = tokio::join!(prepare(), prepare());
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert!(error.one_line().ends_with(": refused"), "{error:?}");
        }
        assert_eq!(
            plugin_files(folder.path()),
            [""; 0],
            "a refusal leaves no note"
        );
    }

    #[tokio::test]
    async fn what_is_superseded_leaves_no_note() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = source_in(folder.path());
        let preparer = preparer_with_script(folder.path(), "exec sleep 600");
        let preparing = tokio::spawn(preparer.prepare(manifest, Trial::AskedAt(1)));
        until("a note is there", || {
            !plugin_files(folder.path()).is_empty()
        })
        .await;
        preparing.abort();
        until("the note is gone", || {
            plugin_files(folder.path()).is_empty()
        })
        .await;
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

        // The leader's sink, or the last good one, is no new request either.
        for index in [7, 0, 7] {
            let error = prepare(Trial::AskedAt(index)).await.unwrap_err();
            assert!(matches!(&error, PluginError::Interrupted { .. }), "{error}");
        }
        prepare(Trial::AskedAt(8)).await.unwrap();
        let component = format!("{}.wasm", identity.sha256);
        assert_eq!(plugin_files(folder.path()), [component.as_str()]);
        // Killed just after it was compiled: code is no reason for doubts.
        std::mem::forget(preparer(folder.path()).notes.begin(&identity, 7).unwrap());
        prepare(Trial::AskedAt(7)).await.unwrap();
        assert_eq!(plugin_files(folder.path()), [component.as_str()]);
    }
}
