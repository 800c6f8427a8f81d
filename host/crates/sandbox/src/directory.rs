use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fsync, openat};
use rustix::io::Errno;

use super::grant_error::GrantError;
use sluice_types::files::shared_dir_at;

/// A directory of the host, as a sink sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The start of the path: a directory that the node's operator chose. It
    /// may be a symbolic link.
    pub root: PathBuf,
    /// The names below the root. None of them may be a symbolic link.
    pub below: Vec<String>,
    /// Whether missing directories below the root are created.
    pub create: bool,
    /// The path under which the sink sees it.
    pub guest: String,
    /// Whether the sink may write.
    pub write: bool,
}

impl Directory {
    /// The path on the host.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.below
            .iter()
            .fold(self.root.clone(), |path, name| path.join(name))
    }

    /// Opens the path name by name, so that no symbolic link leads out of the
    /// root, and creates missing directories if it may.
    pub(super) fn open(&self) -> Result<OwnedFd, GrantError> {
        const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let mut path = self.root.clone();
        let mut open =
            openat(CWD, &path, FLAGS, Mode::empty()).map_err(|errno| open_error(&path, errno))?;
        for name in &self.below {
            path.push(name);
            if self.create {
                create(open.as_fd(), name).map_err(|cause| GrantError::Open {
                    path: path.clone(),
                    cause,
                })?;
            }
            open = openat(&open, name, FLAGS | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|errno| open_error(&path, errno))?;
        }
        Ok(open)
    }
}

/// Creates a directory unless the name is taken.
fn create(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match shared_dir_at(parent, name) {
        Ok(()) => Ok(sync(parent)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a new entry of a directory durable. The sink cannot do it, because it
/// does not see the directory above its own.
fn sync(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fsync(openat(directory, ".", flags, Mode::empty())?)
}

fn open_error(path: &Path, errno: Errno) -> GrantError {
    let path = path.to_owned();
    match errno {
        // With O_PATH and O_NOFOLLOW, the link itself is opened, which is not a
        // directory.
        Errno::LOOP | Errno::NOTDIR => GrantError::Link(path),
        errno => GrantError::Open {
            path,
            cause: errno.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn directory(root: &Path, below: &[&str], create: bool) -> Directory {
        Directory {
            root: root.to_owned(),
            below: below.iter().map(|name| (*name).to_owned()).collect(),
            create,
            guest: "/logs".to_owned(),
            write: true,
        }
    }

    #[test]
    fn missing_directories_are_created_only_if_allowed() {
        let root = tempfile::tempdir().unwrap();
        let deep = directory(root.path(), &["a", "b"], false);
        let error = deep.open().unwrap_err();
        assert!(matches!(error, GrantError::Open { .. }), "{error}");
        directory(root.path(), &["a", "b"], true).open().unwrap();
        deep.open().unwrap();
        assert!(root.path().join("a/b").is_dir());
    }

    #[test]
    fn no_symbolic_link_leads_out_of_the_root() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        for below in [&["link"][..], &["link", "x"], &["file"]] {
            let error = directory(root.path(), below, true).open().unwrap_err();
            assert!(matches!(error, GrantError::Link(_)), "{below:?}: {error}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        // The operator chose the root, so it may be a link.
        directory(&root.path().join("link"), &["x"], true)
            .open()
            .unwrap();
    }
}
