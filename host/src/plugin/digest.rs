//! Digests of components.

use sha2::{Digest, Sha256};

/// The SHA-256 of a component, in lower-case hex.
#[must_use]
pub(crate) fn sha256(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

/// Whether the text is a SHA-256 in hex.
#[must_use]
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
