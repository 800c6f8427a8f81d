//! Where a component comes from.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::OFlags;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The default sink, built with this binary.
const STDOUT: &[u8] = include_bytes!(env!("SLUICE_BUILTIN_STDOUT"));

/// The most bytes that a component may have.
const LARGEST: u64 = 64 << 20;

/// A source as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `builtin:stdout`.
    Builtin(Builtin),
    /// `file:///absolute/path.wasm`.
    File(PathBuf),
}

/// The sinks inside the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// A line a record on stdout.
    Stdout,
}

/// Why a component can not be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Not a source.
    #[error("read the plugin source {0:?}: expected builtin:stdout or file:///absolute/path.wasm")]
    Unknown(String),
    /// A kind of source that is known, but not to this version.
    #[error(
        "read the plugin source {0:?}: this version of Sluice does not fetch from there; put the \
         component in a plugin directory of every node and name it file:///absolute/path.wasm"
    )]
    NotYet(String),
    /// The file is not in a directory that plugins may come from.
    #[error(
        "read the plugin {}: it is in none of the plugin directories ({}); move it there, or \
         start the node with --plugin-dir {}",
        .file.display(), list(.allowed), .file.parent().unwrap_or(.file).display()
    )]
    Elsewhere {
        /// The file.
        file: PathBuf,
        /// The directories.
        allowed: Vec<PathBuf>,
    },
    /// The file can not be read.
    #[error("read the plugin {} on this node", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Larger than any sink.
    #[error(
        "read the plugin {}: it has {size} bytes, more than the {LARGEST} that are loaded; is it \
         a component?", .file.display()
    )]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size.
        size: u64,
    },
}

fn list(directories: &[PathBuf]) -> String {
    directories
        .iter()
        .map(|d| d.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("builtin", "stdout")) => Ok(Self::Builtin(Builtin::Stdout)),
            Some(("file", path)) => match path.strip_prefix("//") {
                Some(path) if path.starts_with('/') => Ok(Self::File(path.into())),
                _ => Err(SourceError::Unknown(text.to_owned())),
            },
            Some(("http" | "https" | "oci" | "kv", _)) => Err(SourceError::NotYet(text.to_owned())),
            _ => Err(SourceError::Unknown(text.to_owned())),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(Builtin::Stdout) => f.write_str("builtin:stdout"),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl Source {
    /// The component's bytes. Files must lie below one of the directories,
    /// links resolved.
    ///
    /// # Errors
    /// Says what to change.
    pub fn read(&self, plugin_dirs: &[PathBuf]) -> Result<Cow<'static, [u8]>, SourceError> {
        match self {
            Self::Builtin(Builtin::Stdout) => Ok(Cow::Borrowed(STDOUT)),
            Self::File(file) => read_below(file, plugin_dirs).map(Cow::Owned),
        }
    }

    /// What changes when the source's content does; `None` if it never does,
    /// or if there is nothing to be read right now.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        let Self::File(file) = self else {
            return None;
        };
        let data = fs::metadata(file).ok()?;
        Some(Stamp {
            changed: (data.ctime(), data.ctime_nsec()),
            size: data.len(),
            inode: data.ino(),
        })
    }
}

/// A file's state, to tell whether it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of its content or its permissions.
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

/// The SHA-256 of a component, in lower-case hex.
#[must_use]
pub fn sha256(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

fn read_below(file: &Path, plugin_dirs: &[PathBuf]) -> Result<Vec<u8>, SourceError> {
    let read_error = |cause| SourceError::Read {
        file: file.to_owned(),
        cause,
    };
    // What is checked is what is read: the open file, not its name. A pipe in
    // its place must not make us wait.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let open = File::options().read(true).custom_flags(flags).open(file);
    let open = open.map_err(read_error)?;
    let data = open.metadata().map_err(read_error)?;
    let real = fs::read_link(format!("/proc/self/fd/{}", open.as_raw_fd())).map_err(read_error)?;
    let is_below =
        |directory: &PathBuf| fs::canonicalize(directory).is_ok_and(|d| real.starts_with(d));
    if !plugin_dirs.iter().any(is_below) {
        let allowed = plugin_dirs.to_vec();
        return Err(SourceError::Elsewhere {
            file: real,
            allowed,
        });
    }
    if !data.is_file() {
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file");
        return Err(read_error(cause));
    }
    if data.len() > LARGEST {
        let (file, size) = (file.to_owned(), data.len());
        return Err(SourceError::TooLarge { file, size });
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    open.take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_people_write_them() {
        assert_eq!(
            " builtin:stdout\n".parse::<Source>().unwrap(),
            Source::Builtin(Builtin::Stdout)
        );
        let file: Source = "file:///plugins/a.wasm".parse().unwrap();
        assert_eq!(file, Source::File("/plugins/a.wasm".into()));
        assert_eq!(file.to_string(), "file:///plugins/a.wasm");
        for wrong in [
            "",
            "stdout",
            "builtin:none",
            "file://relative.wasm",
            "ftp://x",
            "https://example.com/a.wasm",
        ] {
            let error = wrong.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains("file:///absolute/path.wasm"), "{error}");
        }
    }

    #[test]
    fn files_come_from_the_plugin_directories_only() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        fs::write(&secret, "x").unwrap();
        fs::write(inside.path().join("a.wasm"), "a").unwrap();
        std::os::unix::fs::symlink(&secret, inside.path().join("link.wasm")).unwrap();
        let allowed = [inside.path().to_owned()];
        let read = |file: PathBuf| Source::File(file).read(&allowed);
        assert_eq!(&*read(inside.path().join("a.wasm")).unwrap(), b"a");
        for file in [
            secret,
            inside.path().join("link.wasm"),
            inside.path().join("../secret"),
        ] {
            assert!(read(file).is_err());
        }
    }

    #[test]
    fn the_builtin_sink_is_a_component() {
        let bytes = Source::Builtin(Builtin::Stdout).read(&[]).unwrap();
        assert!(bytes.starts_with(b"\0asm"));
        assert_eq!(sha256(&bytes).len(), 64);
    }

    #[test]
    fn a_stamp_tells_a_changed_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        let source = Source::File(file.clone());
        assert_eq!(source.stamp(), None);
        fs::write(&file, "a").unwrap();
        let before = source.stamp();
        assert!(before.is_some());
        assert_eq!(source.stamp(), before);
        fs::write(&file, "ab").unwrap();
        assert_ne!(source.stamp(), before);
    }
}
