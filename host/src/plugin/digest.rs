//! Digests of components.

use sha2::{Digest, Sha256};

/// The SHA-256 of a component, in lower-case hex.
#[must_use]
pub(super) fn sha256(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}
