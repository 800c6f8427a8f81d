//! The directory in which a node keeps what must survive a restart, locked
//! while the node uses it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use sluice_types::files;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    #[error("{act} {}", .path.display())]
    Use {
        /// What was tried.
        act: &'static str,
        /// With which directory.
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Another process uses it.
    #[error(
        "lock the data directory {}: another node is using it; give this one its own --name or \
         --data-dir, or let it find one with --name auto", .0.display()
    )]
    InUse(PathBuf),
}

/// A data directory that this process has locked as long as this exists.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held for its lock, which the system releases however the process ends.
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing, closes it to other users, and locks
    /// it.
    pub(crate) fn lock(path: PathBuf) -> Result<Self, DataDirError> {
        Self::try_lock(&path)?.ok_or(DataDirError::InUse(path))
    }

    /// Locks the first of `<root>/node-1`, `<root>/node-2`, … that no process
    /// uses, and returns its name too. So the next node to start continues with
    /// what an ended one has left.
    pub(crate) fn first_free(root: &Path) -> Result<(String, Self), DataDirError> {
        let mut number = 0_u64;
        loop {
            number += 1;
            let name = format!("node-{number}");
            if let Some(directory) = Self::try_lock(&root.join(&name))? {
                return Ok((name, directory));
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `None` if another process has locked it.
    fn try_lock(path: &Path) -> Result<Option<Self>, DataDirError> {
        let error = |act| {
            let path = path.to_owned();
            move |cause| DataDirError::Use { act, path, cause }
        };
        files::own_dir(&real(path)).map_err(error("create the data directory"))?;
        let lock = files::open_own(&path.join("lock"));
        let lock = lock.map_err(error("write to the data directory"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(error("lock the data directory")(cause)),
        }
    }
}

/// Where the path leads, if it exists: the operator named it, so it may be a
/// symbolic link.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_directory_is_taken_and_freed_at_the_end() {
        let root = tempfile::tempdir().unwrap();
        let (first, one) = DataDir::first_free(root.path()).unwrap();
        let (second, _two) = DataDir::first_free(root.path()).unwrap();
        assert_eq!((&*first, &*second), ("node-1", "node-2"));
        assert_eq!(one.path(), root.path().join("node-1"));
        drop(one);
        let (again, _one) = DataDir::first_free(root.path()).unwrap();
        let (third, _three) = DataDir::first_free(root.path()).unwrap();
        assert_eq!((&*again, &*third), ("node-1", "node-3"));
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_named() {
        let root = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::first_free(root.path()).unwrap_err();
        assert!(error.to_string().contains("node-1"), "{error}");
    }

    #[test]
    fn a_directory_is_locked_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let _one = DataDir::lock(path.clone()).unwrap();
        let error = DataDir::lock(path).unwrap_err();
        assert!(matches!(error, DataDirError::InUse(_)), "{error}");
    }
}
