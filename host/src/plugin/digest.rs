//! Digests of components.

use std::panic::resume_unwind;

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

/// The SHA-256 of a component, in lower-case hex.
#[must_use]
pub(crate) fn sha256(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

/// The same on a blocking thread, so that nothing else waits. Returns the component as
/// well.
pub(super) async fn sha256_aside(component: Vec<u8>) -> (Vec<u8>, String) {
    let digesting = spawn_blocking(move || {
        let digest = sha256(&component);
        (component, digest)
    });
    match digesting.await {
        Ok(digested) => digested,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Whether the text is a SHA-256 in hex.
#[must_use]
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
