//! Where components come from: one file per kind of source.
//!
//! To add a kind, such as `oci:`, write a file with a type that offers what
//! [`Builtin`] and [`PluginFile`] do. Add a variant to [`Source`], and an arm to
//! its `FromStr`; the compiler names the other places in this file.

mod beneath;
mod builtin;
mod error;
mod file;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sluice_types::readable;

pub use builtin::Builtin;
pub use error::SourceError;
pub use file::PluginFile;
pub(super) use file::Stamp;

/// A source, written as `builtin:stdout` or `file:///absolute/path.wasm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A sink inside the binary.
    Builtin(Builtin),
    /// A file on this node.
    File(PluginFile),
}

impl Source {
    /// Reads the component's bytes. Blocks. Files must be below one of the
    /// directories, and no symbolic link may lead out of it.
    ///
    /// # Errors
    /// The component cannot be read; the error says what to change.
    pub fn read(&self, plugin_dirs: &[PathBuf]) -> Result<Cow<'static, [u8]>, SourceError> {
        match self {
            Self::Builtin(builtin) => Ok(Cow::Borrowed(builtin.component())),
            Self::File(file) => file.read(plugin_dirs).map(Cow::Owned),
        }
    }

    /// A value that changes when the source's content does; `None` if it never
    /// changes, or cannot be read at the moment. Blocks.
    pub(super) fn stamp(&self, plugin_dirs: &[PathBuf]) -> Option<Stamp> {
        match self {
            Self::Builtin(_) => None,
            Self::File(file) => file.stamp(plugin_dirs),
        }
    }

    /// Whether the content can change, so that its stamp is worth polling.
    pub(super) const fn can_change(&self) -> bool {
        match self {
            Self::Builtin(_) => false,
            Self::File(_) => true,
        }
    }

    /// Whether the component is part of this binary, and so is always there.
    pub(super) const fn is_builtin(&self) -> bool {
        matches!(self, Self::Builtin(_))
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        // The log, the documents and the status show it as it is.
        if readable::source(text) != text {
            return Err(SourceError::Unreadable(text.to_owned()));
        }
        let parsed = match text.split_once(':') {
            Some((Builtin::SCHEME, rest)) => Builtin::parse(rest).map(Self::Builtin),
            Some((PluginFile::SCHEME, rest)) => PluginFile::parse(rest).map(Self::File),
            Some(("http" | "https" | "oci" | "kv", _)) => {
                return Err(SourceError::Unsupported(text.to_owned()));
            }
            _ => None,
        };
        parsed.ok_or_else(|| SourceError::Unknown(text.to_owned()))
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
            Self::Builtin(builtin) => builtin.fmt(f),
            Self::File(file) => file.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::error_chain::chain;

    #[test]
    fn sources_are_read_as_people_write_them() {
        assert_eq!(
            " builtin:stdout\n".parse::<Source>().unwrap(),
            Source::Builtin(Builtin::Stdout)
        );
        let file: Source = "file:///plugins/a.wasm".parse().unwrap();
        assert_eq!(
            file,
            Source::File(PluginFile::new("/plugins/a.wasm".into()))
        );
        for source in ["builtin:stdout", "file:///plugins/a.wasm"] {
            assert_eq!(source.parse::<Source>().unwrap().to_string(), source);
        }
        for wrong in [
            "",
            "stdout",
            "builtin:none",
            "file://relative.wasm",
            "ftp://x",
            "https://example.com/a.wasm",
            "file:///a\u{1b}[31m.wasm",
            "file:///a\u{202e}msaw.",
            &format!("file:///{}", "a".repeat(5000)),
        ] {
            let error = chain(&wrong.parse::<Source>().unwrap_err());
            assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error}");
            assert!(error.contains("file:///absolute/path.wasm"), "{error}");
        }
    }
}
