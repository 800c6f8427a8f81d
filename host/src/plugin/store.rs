//! Keeps components on disk by their digests, and which of them is the last sink
//! that is known to work. A node starts with that if Consul does not answer, or the
//! component is gone from its source.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::{is_sha256, sha256};
use sluice_types::files;
use sluice_types::sink::Sink;

/// The folder cannot be used.
#[derive(Debug, Error)]
#[error("{act} {}", .path.display())]
pub(crate) struct StoreError {
    act: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The folder `plugin` of the data directory.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    /// How many bytes of components are kept, besides those in use.
    budget: u64,
    /// Held while a component is written: one at a time.
    writing: Mutex<()>,
    /// The sinks that could run, with their digests.
    used: Mutex<Vec<(String, Weak<dyn Sink>)>>,
}

/// The last good sink: a manifest's text, and the component's digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Kept {
    /// The text that [`super::Manifest`] parses.
    pub(crate) manifest: String,
    /// The component's SHA-256, in lower-case hex.
    pub(crate) sha256: String,
}

impl Store {
    /// Creates the folder if it does not exist. Components beyond `budget` bytes
    /// are removed when another one is staged.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn open(folder: PathBuf, budget: u64) -> Result<Self, StoreError> {
        match files::own_dir(&folder) {
            Ok(()) => {
                // What a process has left that was killed while it wrote.
                files::remove_oldest(&folder, "new", 0, None);
                Ok(Self {
                    folder,
                    budget,
                    writing: Mutex::default(),
                    used: Mutex::default(),
                })
            }
            Err(cause) => Err(StoreError {
                act: "create",
                path: folder,
                cause,
            }),
        }
    }

    /// The sink that was kept last; `None` if there is none, or its note is
    /// damaged.
    #[must_use]
    pub(crate) fn load(&self) -> Option<Kept> {
        self.load_from(&self.note())
    }

    /// The sink that was kept last in this file.
    #[must_use]
    pub(crate) fn load_from(&self, note: &Path) -> Option<Kept> {
        let note = fs::read(note).ok()?;
        serde_json::from_slice(&note).ok()
    }

    /// The component with this digest, if it is there and undamaged.
    #[must_use]
    pub(crate) fn component(&self, digest: &str) -> Option<Vec<u8>> {
        let file = self.file(digest)?;
        let component = fs::read(&file).ok()?;
        if sha256(&component) == digest {
            return Some(component);
        }
        tracing::warn!(file = %file.display(), "a sink on disk is damaged");
        // `stage` then writes it again.
        if let Err(error) = fs::remove_file(&file) {
            tracing::debug!(%error, "could not remove the damaged sink");
        }
        None
    }

    /// Writes a component to disk and waits until it is there, so that it can
    /// be kept once it has proved to work.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn stage(&self, digest: &str, component: &[u8]) -> Result<(), StoreError> {
        let Some(file) = self.file(digest) else {
            return Err(self.error("name a component in", io::ErrorKind::InvalidInput.into()));
        };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = fs::metadata(&file)
            .is_ok_and(|data| u64::try_from(component.len()).is_ok_and(|size| size == data.len()));
        if is_there {
            // Makes it the last one to be removed.
            let touched = File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
            return touched.map_err(|cause| self.error("touch a component in", cause));
        }
        files::replace(&file, &[component])
            .map_err(|cause| self.error("write a component to", cause))?;
        let kept = self.load().map(|kept| kept.sha256);
        let mut spared = self.in_use();
        spared.extend(kept);
        spared.push(digest.to_owned());
        let spared: Vec<_> = spared
            .iter()
            .filter_map(|digest| self.file(digest))
            .collect();
        files::shrink(&self.folder, "wasm", self.budget, |file| {
            spared.iter().any(|spared| spared == file)
        });
        Ok(())
    }

    /// The digests of the sinks that could run.
    fn in_use(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.iter().filter(|(_, sink)| sink.strong_count() > 0);
        used.map(|(digest, _)| digest.clone()).collect()
    }

    /// Keeps the component of a sink for as long as the sink exists.
    pub(crate) fn keep_for(&self, sink: &Arc<dyn Sink>) {
        let digest = sink.identity().sha256.clone();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|(_, sink)| sink.strong_count() > 0);
        used.push((digest, Arc::downgrade(sink)));
    }

    /// Keeps a sink in place of the last one, and waits until that is on disk.
    /// The component must be staged unless it is inside the binary.
    ///
    /// # Errors
    /// It cannot be written; the last one stays.
    pub(crate) fn keep(&self, kept: &Kept, is_builtin: bool) -> Result<(), StoreError> {
        self.keep_in(&self.note(), kept, is_builtin)
    }

    /// The same, noted in a file of another stream.
    ///
    /// # Errors
    /// As for [`keep`](Self::keep).
    pub(crate) fn keep_in(
        &self,
        note: &Path,
        kept: &Kept,
        is_builtin: bool,
    ) -> Result<(), StoreError> {
        if !is_builtin && self.component(&kept.sha256).is_none() {
            let missing = io::ErrorKind::NotFound.into();
            return Err(self.error("find the component of the last good sink in", missing));
        }
        serde_json::to_vec(kept)
            .map_err(io::Error::from)
            .and_then(|kept| files::replace(note, &[&kept]))
            .and_then(|()| File::open(note.parent().unwrap_or(&self.folder))?.sync_all())
            .map_err(|cause| self.error("note the last good sink in", cause))
    }

    fn error(&self, act: &'static str, cause: io::Error) -> StoreError {
        let path = self.folder.clone();
        StoreError { act, path, cause }
    }

    fn note(&self) -> PathBuf {
        self.folder.join("last-good.json")
    }

    /// The component's file; `None` if the text is not a digest, which could
    /// name a file elsewhere.
    fn file(&self, digest: &str) -> Option<PathBuf> {
        is_sha256(digest).then(|| self.folder.join(format!("{digest}.wasm")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::outcome::WriteError;
    use sluice_types::plugin::Identity;
    use sluice_types::sink::{BoxFuture, SinkInstance};

    fn kept(component: &[u8]) -> Kept {
        Kept {
            manifest: "file:///a.wasm".to_owned(),
            sha256: sha256(component),
        }
    }

    /// A sink that is never opened.
    #[derive(Debug)]
    struct Unopened(Identity);

    impl Sink for Unopened {
        fn identity(&self) -> &Identity {
            &self.0
        }

        fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
            unreachable!("the store opens no sink")
        }
    }

    fn stage(store: &Store, component: &[u8]) {
        store.stage(&sha256(component), component).unwrap();
    }

    #[test]
    fn the_last_good_one_is_kept_whatever_is_staged_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path().join("plugin"), 100).unwrap();
        let store = open();
        assert!(store.load().is_none());
        stage(&store, b"good");
        store.keep(&kept(b"good"), false).unwrap();
        assert!(store.keep(&kept(b"never staged"), false).is_err());
        for number in 10..30 {
            stage(&store, format!("component {number}").as_bytes());
        }
        let store = open();
        assert_eq!(store.load(), Some(kept(b"good")));
        assert_eq!(store.component(&sha256(b"good")).unwrap(), b"good");
        assert!(store.component(&sha256(b"component 29")).is_some());
        let files = fs::read_dir(folder.path().join("plugin")).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        let note = fs::metadata(store.note()).unwrap().len();
        assert!(sizes.sum::<u64>() <= 100 + note);
    }

    #[test]
    fn what_could_run_is_kept_until_it_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned(), 0).unwrap();
        let sink: Arc<dyn Sink> = Arc::new(Unopened(Identity {
            source: "file:///a.wasm".to_owned(),
            sha256: sha256(b"runs"),
        }));
        stage(&store, b"runs");
        store.keep_for(&sink);
        stage(&store, b"another");
        assert!(store.component(&sha256(b"runs")).is_some());
        assert!(
            store.component(&sha256(b"another")).is_some(),
            "just staged"
        );
        drop(sink);
        stage(&store, b"a third");
        assert!(store.component(&sha256(b"runs")).is_none());
        assert!(store.component(&sha256(b"another")).is_none());
    }

    #[test]
    fn a_damaged_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned(), 100).unwrap();
        let digest = sha256(b"good");
        store.stage(&digest, b"good").unwrap();
        fs::write(store.file(&digest).unwrap(), "evil").unwrap();
        assert!(store.component(&digest).is_none());
        assert!(store.component("../../etc/passwd").is_none());
        fs::write(store.note(), "half a no").unwrap();
        assert!(store.load().is_none());
    }
}
