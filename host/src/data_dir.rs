//! The directory in which a node keeps what must survive a restart, locked
//! while the node uses it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// Why a data directory can not be had.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// It can not be used.
    #[error("{act} {}", .path.display())]
    Use {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
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

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held for its lock, which the system lets go of however the process ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory, if it is missing, and locks it.
    ///
    /// # Errors
    /// It can not be used, or another process uses it.
    pub fn lock(path: PathBuf) -> Result<Self, DataDirError> {
        Self::try_lock(&path)?.ok_or(DataDirError::InUse(path))
    }

    /// Locks the first of `<root>/node-1`, `<root>/node-2`, … that nobody uses,
    /// and gives its name too. What an ended node has left is taken up again by
    /// the next one that comes.
    ///
    /// # Errors
    /// The first that nobody has locked can not be used.
    pub fn first_free(root: &Path) -> Result<(String, Self), DataDirError> {
        let mut number = 0_u64;
        loop {
            number += 1;
            let name = format!("node-{number}");
            if let Some(directory) = Self::try_lock(&root.join(&name))? {
                return Ok((name, directory));
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// None if another process has it.
    fn try_lock(path: &Path) -> Result<Option<Self>, DataDirError> {
        let error = |act| {
            let path = path.to_owned();
            move |cause| DataDirError::Use { act, path, cause }
        };
        fs::create_dir_all(path).map_err(error("create the data directory"))?;
        let lock = File::create(path.join("lock")).map_err(error("write to the data directory"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(error("lock the data directory")(errno.into())),
        }
    }
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
    fn a_directory_that_can_not_be_made_is_named() {
        let root = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::first_free(root.path()).unwrap_err();
        assert!(error.to_string().contains("node-1"), "{error}");
    }

    #[test]
    fn a_directory_has_one_user() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let _one = DataDir::lock(path.clone()).unwrap();
        let error = DataDir::lock(path).unwrap_err();
        assert!(matches!(error, DataDirError::InUse(_)), "{error}");
    }
}
