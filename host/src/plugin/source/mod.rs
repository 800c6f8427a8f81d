//! Where components come from: one file per kind of source. What is not on this
//! node is fetched by `plugin/remote/`.
//!
//! To add a kind, write a file with a type that parses it. Add a variant to
//! [`Source`] or [`RemoteSource`], and an arm to the `FromStr` of [`Source`]; the
//! compiler names the other places.

mod beneath;
mod builtin;
mod error;
mod file;
mod http_url;
mod kv_blob;
mod oci_reference;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sluice_types::readable;
pub(super) use sluice_types::stamp::Stamp;

pub use builtin::Builtin;
pub use error::SourceError;
pub(crate) use error::{EXPECTED, MAX_COMPONENT_BYTES};
pub use file::PluginFile;
pub use http_url::HttpUrl;
pub use kv_blob::KvBlob;
pub use oci_reference::OciReference;
pub(super) use oci_reference::is_loopback;

/// A source, as manifests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A sink inside the binary.
    Builtin(Builtin),
    /// A file on this node.
    File(PluginFile),
    /// A component that has to be fetched.
    Remote(RemoteSource),
}

/// A place that a component is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteSource {
    /// A web server.
    Http(HttpUrl),
    /// A registry.
    Oci(OciReference),
    /// Consul.
    Kv(KvBlob),
}

impl Source {
    /// A value that changes when the source's content does; `None` if that is not
    /// watched, or it cannot be read at the moment. Blocks.
    pub(super) fn stamp(&self, plugin_dirs: &[PathBuf]) -> Option<Stamp> {
        match self {
            Self::Builtin(_) | Self::Remote(_) => None,
            Self::File(file) => file.stamp(plugin_dirs),
        }
    }

    /// Whether the content can change while this node watches it, so that its
    /// stamp is worth polling.
    pub(super) const fn can_change(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether the component is part of this binary, and so is always there.
    pub(super) const fn is_builtin(&self) -> bool {
        matches!(self, Self::Builtin(_))
    }

    /// Whether it names the same component for ever, without saying its digest.
    pub(super) fn is_immutable(&self) -> bool {
        match self {
            Self::Remote(RemoteSource::Oci(reference)) => reference.manifest_sha256().is_some(),
            _ => false,
        }
    }

    /// Whether only a digest in the manifest can tell the right component.
    pub(super) const fn needs_digest(&self) -> bool {
        matches!(self, Self::Remote(RemoteSource::Http(_)))
    }

    /// The SHA-256 of the component, if the source itself says it.
    pub(super) fn sha256(&self) -> Option<&str> {
        match self {
            Self::Remote(RemoteSource::Kv(blob)) => Some(blob.sha256()),
            _ => None,
        }
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
        let remote = Self::Remote;
        let parsed = match text.split_once(':') {
            Some((Builtin::SCHEME, rest)) => Builtin::parse(rest).map(Self::Builtin),
            Some((PluginFile::SCHEME, rest)) => PluginFile::parse(rest).map(Self::File),
            Some((KvBlob::SCHEME, rest)) => KvBlob::parse(rest).map(RemoteSource::Kv).map(remote),
            Some((OciReference::SCHEME, rest)) => {
                OciReference::parse(rest).map(RemoteSource::Oci).map(remote)
            }
            Some((scheme, _)) if HttpUrl::SCHEMES.contains(&scheme) => {
                HttpUrl::parse(text).map(RemoteSource::Http).map(remote)
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
            Self::Remote(RemoteSource::Http(url)) => url.fmt(f),
            Self::Remote(RemoteSource::Oci(reference)) => reference.fmt(f),
            Self::Remote(RemoteSource::Kv(blob)) => blob.fmt(f),
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
        let blob = format!("kv:{}", "0a".repeat(32));
        for source in [
            "builtin:stdout",
            "file:///plugins/a.wasm",
            "https://example.com/a.wasm",
            "http://10.0.0.1:8080/a.wasm?version=1",
            "oci://ghcr.io/example/sink:1.0",
            &blob,
        ] {
            assert_eq!(source.parse::<Source>().unwrap().to_string(), source);
        }
        for wrong in [
            "",
            "stdout",
            "builtin:none",
            "file://relative.wasm",
            "ftp://x",
            "https://",
            "https://me:secret@example.com/a.wasm",
            "https://example.com/a.wasm#part",
            "oci://ghcr.io/example/sink",
            "kv:abc",
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
