//! Keeps the last sink that is known to work on disk. A node starts with it if
//! Consul does not answer, or the component is gone from its source.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::{is_sha256, sha256};
use sluice_types::files;

/// The most components that are kept besides the last good one.
const MAX_STAGED: usize = 8;

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
    /// Creates the folder if it does not exist.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        match files::own_dir(&folder) {
            Ok(()) => Ok(Self { folder }),
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
        let note = fs::read(self.note()).ok()?;
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
        let is_there = fs::metadata(&file)
            .is_ok_and(|data| u64::try_from(component.len()).is_ok_and(|size| size == data.len()));
        if is_there {
            // Makes it the last one to be removed.
            let touched = File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
            return touched.map_err(|cause| self.error("touch a component in", cause));
        }
        files::replace(&file, &[component])
            .map_err(|cause| self.error("write a component to", cause))?;
        let kept = self.load().and_then(|kept| self.file(&kept.sha256));
        files::remove_oldest(&self.folder, "wasm", MAX_STAGED, kept.as_deref());
        Ok(())
    }

    /// Keeps a sink in place of the last one, and waits until that is on disk.
    /// The component must be staged unless it is inside the binary.
    ///
    /// # Errors
    /// It cannot be written; the last one stays.
    pub(crate) fn keep(&self, kept: &Kept, is_builtin: bool) -> Result<(), StoreError> {
        if !is_builtin && self.component(&kept.sha256).is_none() {
            let missing = io::ErrorKind::NotFound.into();
            return Err(self.error("find the component of the last good sink in", missing));
        }
        serde_json::to_vec(kept)
            .map_err(io::Error::from)
            .and_then(|note| files::replace(&self.note(), &[&note]))
            .and_then(|()| File::open(&self.folder)?.sync_all())
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

    fn kept(component: &[u8]) -> Kept {
        Kept {
            manifest: "file:///a.wasm".to_owned(),
            sha256: sha256(component),
        }
    }

    #[test]
    fn the_last_good_one_is_kept_whatever_is_staged_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("plugin")).unwrap();
        assert!(store.load().is_none());
        store.stage(&sha256(b"good"), b"good").unwrap();
        store.keep(&kept(b"good"), false).unwrap();
        assert!(store.keep(&kept(b"never staged"), false).is_err());
        for number in 0..MAX_STAGED + 5 {
            let component = format!("component {number}");
            store
                .stage(&sha256(component.as_bytes()), component.as_bytes())
                .unwrap();
        }
        let store = Store::open(folder.path().join("plugin")).unwrap();
        assert_eq!(store.load(), Some(kept(b"good")));
        assert_eq!(store.component(&sha256(b"good")).unwrap(), b"good");
        let files = fs::read_dir(folder.path().join("plugin")).unwrap();
        assert_eq!(
            files.count(),
            MAX_STAGED + 2,
            "with the kept one and the note"
        );
    }

    #[test]
    fn a_damaged_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned()).unwrap();
        let digest = sha256(b"good");
        store.stage(&digest, b"good").unwrap();
        fs::write(store.file(&digest).unwrap(), "evil").unwrap();
        assert!(store.component(&digest).is_none());
        assert!(store.component("../../etc/passwd").is_none());
        fs::write(store.note(), "half a no").unwrap();
        assert!(store.load().is_none());
    }
}
