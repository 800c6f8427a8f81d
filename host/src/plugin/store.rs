//! The last sink that is known to work, on disk: a node boots with it while
//! Consul is away or the component is gone from where it came from.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::source::sha256;
use sluice_types::files;

/// The most components that lie here beside the last good one.
const STAGED: usize = 8;

/// The folder can not be used.
#[derive(Debug, Error)]
#[error("{act} {}", .path.display())]
pub struct StoreError {
    act: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The folder `plugin` of the data directory.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

/// What the folder remembers: a manifest's text, and the component's digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Kept {
    /// As [`super::Manifest`] reads it.
    pub manifest: String,
    /// The component's digest.
    pub sha256: String,
}

impl Store {
    /// Makes the folder.
    ///
    /// # Errors
    /// It can not be made.
    pub fn open(folder: PathBuf) -> Result<Self, StoreError> {
        match fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(cause) => Err(StoreError {
                act: "create",
                path: folder,
                cause,
            }),
        }
    }

    /// What was kept last; `None` if nothing was, or nothing whole.
    #[must_use]
    pub fn load(&self) -> Option<Kept> {
        let note = fs::read(self.note()).ok()?;
        serde_json::from_slice(&note).ok()
    }

    /// The component with this digest, if it is there and whole.
    #[must_use]
    pub fn component(&self, digest: &str) -> Option<Vec<u8>> {
        let file = self.file(digest)?;
        let component = fs::read(&file).ok()?;
        if sha256(&component) == digest {
            return Some(component);
        }
        tracing::warn!(file = %file.display(), "a sink that was kept on disk is damaged");
        // So that it is laid down anew.
        if let Err(error) = fs::remove_file(&file) {
            tracing::debug!(%error, "could not remove it");
        }
        None
    }

    /// Lays a component down, on disk before it returns, so that it can be
    /// kept once it has proved good.
    ///
    /// # Errors
    /// It can not be written.
    pub fn stage(&self, digest: &str, component: &[u8]) -> Result<(), StoreError> {
        let Some(file) = self.file(digest) else {
            return Err(self.error("name a component in", io::ErrorKind::InvalidInput.into()));
        };
        let is_there = fs::metadata(&file)
            .is_ok_and(|data| u64::try_from(component.len()).is_ok_and(|size| size == data.len()));
        if is_there {
            // So that it is not the first to go.
            let touched = File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
            return touched.map_err(|cause| self.error("touch a component in", cause));
        }
        files::replace(&file, &[component])
            .map_err(|cause| self.error("write a component to", cause))?;
        let kept = self.load().and_then(|kept| self.file(&kept.sha256));
        files::remove_oldest(&self.folder, "wasm", STAGED, kept.as_deref());
        Ok(())
    }

    /// Keeps this one in place of the last, on disk before it returns. Its
    /// component must be there, unless it is inside the binary.
    ///
    /// # Errors
    /// It can not be written; the last one stays.
    pub fn keep(&self, kept: &Kept, is_inside: bool) -> Result<(), StoreError> {
        if !is_inside && self.component(&kept.sha256).is_none() {
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

    /// Only a digest names a file: nothing else leads out of the folder.
    fn file(&self, digest: &str) -> Option<PathBuf> {
        let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| self.folder.join(format!("{digest}.wasm")))
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
        for number in 0..STAGED + 5 {
            let component = format!("component {number}");
            store
                .stage(&sha256(component.as_bytes()), component.as_bytes())
                .unwrap();
        }
        let store = Store::open(folder.path().join("plugin")).unwrap();
        assert_eq!(store.load(), Some(kept(b"good")));
        assert_eq!(store.component(&sha256(b"good")).unwrap(), b"good");
        let files = fs::read_dir(folder.path().join("plugin")).unwrap();
        assert_eq!(files.count(), STAGED + 2, "with the kept one and the note");
    }

    #[test]
    fn what_is_damaged_is_not_used() {
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
