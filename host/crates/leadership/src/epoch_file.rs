//! The highest epoch that this node has seen, on disk: it survives a Consul
//! that lost its state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use sluice_types::files;

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("{act} {}", .file.display())]
pub struct EpochFileError {
    act: &'static str,
    file: PathBuf,
    #[source]
    cause: io::Error,
}

/// The file `epoch` in the data directory.
#[derive(Debug)]
pub(super) struct EpochFile {
    file: PathBuf,
    highest: AtomicU64,
    /// Held while the file is written; readers do not wait for it.
    writing: Mutex<()>,
}

impl EpochFile {
    /// Reads the file; a missing one is epoch 0.
    ///
    /// # Errors
    /// The file cannot be read, or holds no number.
    pub(super) fn open(data_dir: &Path) -> Result<Self, EpochFileError> {
        let file = data_dir.join("epoch");
        let highest = match fs::read_to_string(&file) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        match highest {
            Ok(highest) => Ok(Self {
                file,
                highest: AtomicU64::new(highest),
                writing: Mutex::new(()),
            }),
            Err(cause) => Err(EpochFileError {
                act: "read the highest epoch from",
                file,
                cause,
            }),
        }
    }

    /// The highest epoch.
    #[must_use]
    pub(super) fn highest(&self) -> u64 {
        self.highest.load(Ordering::Acquire)
    }

    /// Remembers an epoch if it is higher; it is on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn raise(&self, epoch: u64) -> Result<(), EpochFileError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch <= self.highest() {
            return Ok(());
        }
        let error = |act| {
            let file = self.file.clone();
            move |cause| EpochFileError { act, file, cause }
        };
        let text = format!("{epoch}\n");
        files::replace(&self.file, &[text.as_bytes()]).map_err(error("replace"))?;
        if let Some(folder) = self.file.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(error("sync"))?;
        }
        self.highest.store(epoch, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        let file = EpochFile::open(folder.path()).unwrap();
        assert_eq!(file.highest(), 0);
        file.raise(7).unwrap();
        file.raise(3).unwrap();
        assert_eq!(EpochFile::open(folder.path()).unwrap().highest(), 7);
    }

    #[test]
    fn nonsense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("epoch"), "seven").unwrap();
        let error = EpochFile::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("epoch"), "{error}");
    }
}
