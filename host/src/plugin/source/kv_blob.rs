//! `kv:`: components in Consul.

use std::fmt;

use crate::plugin::digest::is_sha256;

/// The digest of a component that is kept in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvBlob(String);

impl KvBlob {
    pub(super) const SCHEME: &'static str = "kv";

    /// The component with this SHA-256 in hex; `None` if it is not one.
    #[must_use]
    pub fn parse(digest: &str) -> Option<Self> {
        is_sha256(digest).then(|| Self(digest.to_ascii_lowercase()))
    }

    /// The component's SHA-256, in lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KvBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Self::SCHEME, self.0)
    }
}
