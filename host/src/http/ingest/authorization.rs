//! The token that clients must send.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// The `Authorization` that clients must send, kept and compared as a digest,
/// so that the time of a comparison tells nothing about it.
#[derive(Clone, Debug)]
pub(crate) struct Authorization([u8; 32]);

impl Authorization {
    /// `Bearer <token>`.
    pub(crate) fn bearer(token: &str) -> Self {
        Self(Sha256::digest(format!("Bearer {token}")).into())
    }

    /// Whether this is the token.
    pub(super) fn is(&self, token: &[u8]) -> bool {
        let bearer = Sha256::new().chain_update("Bearer ").chain_update(token);
        bearer.finalize()[..] == self.0
    }

    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(AUTHORIZATION)
            .map(|value| Sha256::digest(value.as_bytes()));
        given.is_some_and(|given| given[..] == self.0)
    }
}
