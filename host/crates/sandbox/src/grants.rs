//! What a sink is given beyond clocks, random numbers, stdout and stderr:
//! directories and environment variables.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, fsync, mkdirat, openat};
use rustix::io::Errno;
use thiserror::Error;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// The most that every instance of a sink may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories of the host.
    pub directories: Vec<Directory>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

/// A directory of the host, as a sink sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where the way begins: a directory that the node's owner named.
    pub root: PathBuf,
    /// The names from there on; none of them may be a symbolic link.
    pub below: Vec<String>,
    /// Whether what is missing below the root is made.
    pub create: bool,
    /// The name that the sink knows it by.
    pub guest: String,
    /// Whether the sink may write.
    pub write: bool,
}

/// Why a directory can not be given to a sink.
#[derive(Debug, Error)]
pub enum GrantError {
    /// It is not there, or can not be opened.
    #[error("open the directory {} for the sink (permissions.dirs)", .path.display())]
    Open {
        /// How far it was opened.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// It could lead anywhere.
    #[error(
        "open the directory {} for the sink: it is a symbolic link or no directory; name a real \
         directory", .0.display()
    )]
    Link(PathBuf),
    /// It takes too long.
    #[error("open the directories of the sink within {} s", .0.as_secs())]
    Slow(Duration),
    /// A defect.
    #[error("open the directories of the sink; this is a defect, please report it")]
    Panicked(#[source] tokio::task::JoinError),
    /// The sandbox refused it.
    #[error("give the directory {} to the sink", .path.display())]
    Give {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: wasmtime::Error,
    },
}

impl Directory {
    /// Its path on the host.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.below
            .iter()
            .fold(self.root.clone(), |path, name| path.join(name))
    }

    /// Opens it step by step, so that no link that anybody puts in the way
    /// leads out, and makes what is missing if it may.
    fn open(&self) -> Result<OwnedFd, GrantError> {
        const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let mut path = self.root.clone();
        let mut open = openat(CWD, &path, DIRECTORY, Mode::empty())
            .map_err(|errno| open_error(&path, errno))?;
        for name in &self.below {
            path.push(name);
            if self.create {
                match mkdirat(&open, name, Mode::from_raw_mode(0o750)).and_then(|()| sync(&open)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(open_error(&path, errno)),
                }
            }
            open = openat(&open, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|errno| open_error(&path, errno))?;
        }
        Ok(open)
    }
}

/// Makes a new name in a directory last: a sink can not sync what lies above
/// what it was given.
fn sync(directory: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fsync(openat(directory, ".", flags, Mode::empty())?)
}

fn open_error(path: &Path, errno: Errno) -> GrantError {
    let path = path.to_owned();
    match errno {
        // With O_PATH a link is no directory.
        Errno::LOOP | Errno::NOTDIR => GrantError::Link(path),
        errno => GrantError::Open {
            path,
            cause: errno.into(),
        },
    }
}

impl Grants {
    /// Opens the directories. It may take as long as the slowest disk.
    pub(super) fn open(&self) -> Result<Granted, GrantError> {
        let open = |directory: &Directory| Ok((directory.open()?, directory.clone()));
        Ok(Granted {
            directories: self
                .directories
                .iter()
                .map(open)
                .collect::<Result<_, _>>()?,
            environment: self.environment.clone(),
        })
    }
}

/// Grants for one instance, its directories open.
pub(super) struct Granted {
    directories: Vec<(OwnedFd, Directory)>,
    environment: Vec<(String, String)>,
}

impl Granted {
    /// Hands everything to the sandbox of one instance.
    pub(super) fn give(&self, wasi: &mut WasiCtxBuilder) -> Result<(), GrantError> {
        for (open, directory) in &self.directories {
            // The very directory that was opened, wherever its name leads now.
            let held = format!("/proc/self/fd/{}", open.as_raw_fd());
            let permissions = if directory.write {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            wasi.preopened_dir(held, &directory.guest, permissions)
                .map_err(|cause| GrantError::Give {
                    path: directory.path(),
                    cause,
                })?;
        }
        for (name, value) in &self.environment {
            wasi.env(name, value);
        }
        Ok(())
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
    fn what_is_missing_is_made_only_where_it_may() {
        let root = tempfile::tempdir().unwrap();
        let deep = directory(root.path(), &["a", "b"], false);
        let error = deep.open().unwrap_err();
        assert!(matches!(error, GrantError::Open { .. }), "{error}");
        directory(root.path(), &["a", "b"], true).open().unwrap();
        deep.open().unwrap();
        assert!(root.path().join("a/b").is_dir());
    }

    #[test]
    fn no_link_leads_out() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        for below in [&["link"][..], &["link", "x"], &["file"]] {
            let error = directory(root.path(), below, true).open().unwrap_err();
            assert!(matches!(error, GrantError::Link(_)), "{below:?}: {error}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        // The root is the owner's word: it may be a link.
        directory(&root.path().join("link"), &["x"], true)
            .open()
            .unwrap();
    }

    #[test]
    fn directories_reach_the_sandbox() {
        let root = tempfile::tempdir().unwrap();
        let grants = Grants {
            directories: vec![directory(root.path(), &["a"], true)],
            environment: vec![("TZ".to_owned(), "UTC".to_owned())],
        };
        let granted = grants.open().unwrap();
        granted.give(&mut WasiCtxBuilder::new()).unwrap();
    }
}
