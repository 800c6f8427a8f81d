//! `file:`: components in the plugin directories of this node.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::error::{MAX_COMPONENT_BYTES, SourceError};

/// The absolute path of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile(PathBuf);

/// The state of a file; it differs if the file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When its content or its permissions changed: seconds and nanoseconds.
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

impl PluginFile {
    pub(super) const SCHEME: &'static str = "file";

    /// The file at this path, which must be absolute.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Parses `///absolute/path`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let path = rest.strip_prefix("//")?;
        path.starts_with('/').then(|| Self(path.into()))
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        let data = fs::metadata(&self.0).ok()?;
        Some(Stamp {
            changed: (data.ctime(), data.ctime_nsec()),
            size: data.len(),
            inode: data.ino(),
        })
    }

    /// Reads the file if it is below one of the directories.
    pub(super) fn read(&self, plugin_dirs: &[PathBuf]) -> Result<Vec<u8>, SourceError> {
        let path = &self.0;
        let read_error = |cause| SourceError::Read {
            file: path.clone(),
            cause,
        };
        // Checks the open file, not its path, so that what is checked is what
        // is read. Opening a pipe in its place must not block.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path);
        let file = file.map_err(read_error)?;
        check_location(&file, plugin_dirs).map_err(read_error)??;
        let data = file.metadata().map_err(read_error)?;
        if !data.is_file() {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file");
            return Err(read_error(cause));
        }
        if data.len() > MAX_COMPONENT_BYTES {
            return Err(SourceError::TooLarge {
                file: path.clone(),
                size: data.len(),
            });
        }
        let mut bytes = Vec::new();
        // The file may grow while it is read.
        file.take(MAX_COMPONENT_BYTES)
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        Ok(bytes)
    }
}

/// The outer error is the system's.
fn check_location(file: &File, plugin_dirs: &[PathBuf]) -> io::Result<Result<(), SourceError>> {
    let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let is_below = |directory: &PathBuf| {
        fs::canonicalize(directory).is_ok_and(|directory| real.starts_with(directory))
    };
    if plugin_dirs.iter().any(is_below) {
        return Ok(Ok(()));
    }
    let allowed = plugin_dirs.to_vec();
    Ok(Err(SourceError::NotInPluginDir {
        file: real,
        allowed,
    }))
}

impl fmt::Display for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", Self::SCHEME, self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_from_the_plugin_directories_only() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, secret) = (folder.path().join("plugins"), folder.path().join("secret"));
        fs::create_dir(&inside).unwrap();
        fs::write(&secret, "x").unwrap();
        fs::write(inside.join("a.wasm"), "a").unwrap();
        std::os::unix::fs::symlink(&secret, inside.join("link.wasm")).unwrap();
        let allowed = [inside.clone()];
        let read = |file: PathBuf| PluginFile(file).read(&allowed);
        assert_eq!(read(inside.join("a.wasm")).unwrap(), b"a");
        for file in [secret, inside.join("link.wasm"), inside.join("../secret")] {
            let error = read(file).unwrap_err();
            assert!(
                matches!(error, SourceError::NotInPluginDir { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_directory_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = PluginFile(folder.path().to_owned()).read(&[folder.path().to_owned()]);
        assert!(matches!(read, Err(SourceError::Read { .. })), "{read:?}");
    }

    #[test]
    fn a_stamp_tells_a_changed_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        let file = PluginFile(path.clone());
        assert_eq!(file.stamp(), None);
        fs::write(&path, "a").unwrap();
        let before = file.stamp();
        assert!(before.is_some());
        assert_eq!(file.stamp(), before);
        fs::write(&path, "ab").unwrap();
        assert_ne!(file.stamp(), before);
    }
}
