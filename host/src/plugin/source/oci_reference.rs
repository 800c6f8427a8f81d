//! `oci:`: components in registries.

use std::fmt;
use std::net::Ipv4Addr;

use reqwest::Url;

use super::error::SourceError;
use crate::plugin::digest::is_sha256;

/// The tag that is meant if a push names none.
const DEFAULT_TAG: &str = "latest";
/// The longest tag, by the distribution specification.
const MAX_TAG: usize = 128;
/// The longest name of registry and repository together, as registries have it.
const MAX_NAME: usize = 255;
/// Docker Hub is named by one host, and serves its interface on another.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A component in a registry: `registry/repository:tag`, or `@sha256:…` in place
/// of the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciReference {
    registry: String,
    repository: String,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Tag(String),
    /// The SHA-256 of the manifest, in lower-case hex.
    Digest(String),
}

/// Whether the host is this machine, to which nobody else can listen.
pub(in crate::plugin) fn is_loopback(host: &str) -> bool {
    let address = host.parse();
    host == "localhost" || address.is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

impl OciReference {
    pub(super) const SCHEME: &'static str = "oci";

    /// Parses what follows the scheme.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (registry, rest) = rest.strip_prefix("//")?.split_once('/')?;
        let (repository, version) = if let Some((repository, digest)) = rest.split_once('@') {
            let digest = digest.strip_prefix("sha256:").filter(|d| is_sha256(d))?;
            (repository, Version::Digest(digest.to_ascii_lowercase()))
        } else {
            let (repository, tag) = rest.split_once(':')?;
            (repository, Version::Tag(tag.to_owned()))
        };
        let is_valid = is_registry(registry)
            && repository.split('/').all(is_component)
            && registry.len() + repository.len() < MAX_NAME
            && match &version {
                Version::Tag(tag) => is_tag(tag),
                Version::Digest(_) => true,
            };
        is_valid.then(|| Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            version,
        })
    }

    /// A destination to push to, whose tag is `latest` if there is none.
    ///
    /// # Errors
    /// The text is not `oci://registry/repository[:tag]`.
    pub fn destination(text: &str) -> Result<Self, SourceError> {
        let refused = || SourceError::Destination(text.to_owned());
        let rest = text.strip_prefix("oci:").ok_or_else(refused)?;
        let has_tag = rest
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains(':'));
        let parsed = match has_tag {
            true => Self::parse(rest),
            false => Self::parse(&format!("{rest}:{DEFAULT_TAG}")),
        };
        parsed
            .filter(|reference| matches!(reference.version, Version::Tag(_)))
            .ok_or_else(refused)
    }

    /// The registry, as credentials name it.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in it.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag or `sha256:…`, as the registry's interface names a manifest.
    #[must_use]
    pub fn version(&self) -> String {
        match &self.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => format!("sha256:{digest}"),
        }
    }

    /// The SHA-256 that the manifest must have, in lower-case hex.
    #[must_use]
    pub fn manifest_sha256(&self) -> Option<&str> {
        match &self.version {
            Version::Tag(_) => None,
            Version::Digest(digest) => Some(digest),
        }
    }

    /// The same repository at the manifest with this SHA-256.
    #[must_use]
    pub fn at(&self, manifest_sha256: String) -> Self {
        Self {
            version: Version::Digest(manifest_sha256),
            ..self.clone()
        }
    }

    /// Whether the registry is on this machine, where it needs no TLS.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let (host, _) = host_and_port(&self.registry);
        is_loopback(host)
    }

    /// The address of something in the repository, such as `manifests/1.0`; `None`
    /// if the name gives none.
    #[must_use]
    pub fn url(&self, name: &str) -> Option<Url> {
        let scheme = match self.is_loopback() {
            true => "http",
            false => "https",
        };
        let host = match self.registry == DOCKER_HUB.0 {
            true => DOCKER_HUB.1,
            false => &self.registry,
        };
        let repository = &self.repository;
        Url::parse(&format!("{scheme}://{host}/v2/{repository}/{name}")).ok()
    }
}

fn host_and_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    }
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = host_and_port(registry);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_allowed)
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// One part of a repository's name: lower-case letters and digits, with single
/// separators between them.
fn is_component(part: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(|byte| is_alphanumeric(*byte)))
        && bytes
            .iter()
            .all(|byte| is_alphanumeric(*byte) || is_separator(*byte))
        && !part.contains("..")
        && !part.contains("___")
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            repository,
            version,
        } = self;
        write!(f, "{}://{registry}/{repository}", Self::SCHEME)?;
        match version {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@sha256:{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<OciReference> {
        OciReference::parse(text.strip_prefix("oci:").unwrap())
    }

    #[test]
    fn references_name_registry_repository_and_version() {
        let digest = "ab".repeat(32);
        for (text, url) in [
            (
                "oci://ghcr.io/a/b:1.0",
                "https://ghcr.io/v2/a/b/manifests/1.0".to_owned(),
            ),
            (
                "oci://localhost:5000/a:x",
                "http://localhost:5000/v2/a/manifests/x".to_owned(),
            ),
            (
                "oci://127.0.0.2:5000/a:x",
                "http://127.0.0.2:5000/v2/a/manifests/x".to_owned(),
            ),
            (
                "oci://docker.io/me/a:x",
                "https://registry-1.docker.io/v2/me/a/manifests/x".to_owned(),
            ),
            (
                &format!("oci://r:5000/a__b/c-d.e@sha256:{digest}"),
                format!("https://r:5000/v2/a__b/c-d.e/manifests/sha256:{digest}"),
            ),
        ] {
            let reference = parsed(text).unwrap();
            assert_eq!(reference.to_string(), text);
            let manifest = format!("manifests/{}", reference.version());
            assert_eq!(reference.url(&manifest).unwrap().as_str(), url);
        }
        for wrong in [
            "oci:r/a:1",
            "oci://r/a",
            "oci://r:1",
            "oci:///a:1",
            "oci://r/:1",
            "oci://r/A:1",
            "oci://r/a/../b:1",
            "oci://r/a:",
            "oci://r/a:-x",
            "oci://r/a:1?x=1",
            "oci://r/a@sha256:abc",
            "oci://r/a@md5:abc",
            "oci://me@r/a:1",
            "oci://r:0/a:1",
            "oci://r:99999/a:1",
            "oci://r/a_:1",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_destination_needs_no_tag() {
        for (text, expected) in [
            ("oci://r:5000/a/b", "oci://r:5000/a/b:latest"),
            ("oci://r:5000/a/b:1", "oci://r:5000/a/b:1"),
        ] {
            let destination = OciReference::destination(text).unwrap();
            assert_eq!(destination.to_string(), expected);
        }
        let digest = format!("oci://r/a@sha256:{}", "ab".repeat(32));
        for wrong in [&digest[..], "kv:ab", "oci://r", "r/a:1"] {
            assert!(OciReference::destination(wrong).is_err(), "{wrong}");
        }
    }
}
