//! A client that a node knows.

use std::sync::Arc;

use crate::quota::Quota;
use crate::refusal::Refusal;
use crate::scope::Scope;

/// A client that a node knows by its token or its certificate.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) name: Arc<str>,
    pub(crate) scopes: Vec<Scope>,
    /// All, if there is no list.
    pub(crate) streams: Option<Vec<String>>,
    /// Shared by all that are known by this name.
    pub(crate) quota: Arc<Quota>,
    /// What it shows.
    pub(crate) credential: Credential,
}

/// What a client is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credential {
    /// The digest of its token.
    pub(crate) token: Option<TokenDigest>,
    /// The name in its certificate.
    pub(crate) certificate: Option<String>,
}

/// What a token is found by: its SHA-256.
pub(crate) type TokenDigest = [u8; 32];

impl Client {
    /// A client without limits.
    pub(crate) fn unlimited(name: &str, scopes: &[Scope]) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.to_vec(),
            streams: None,
            quota: Arc::default(),
            credential: Credential::default(),
        }
    }

    /// For logs, and for other nodes.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How much it may send.
    #[must_use]
    pub const fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// Whether it may do this on this stream.
    ///
    /// # Errors
    /// The scope or the stream that it lacks.
    pub fn may(&self, scope: Scope, stream: &str) -> Result<(), Refusal> {
        if !self.scopes.contains(&scope) {
            return Err(Refusal::Scope {
                client: Arc::clone(&self.name),
                scope,
            });
        }
        let is_listed = |streams: &Vec<String>| streams.iter().any(|listed| listed == stream);
        match self.streams.as_ref().is_none_or(is_listed) {
            true => Ok(()),
            false => Err(Refusal::Stream {
                client: Arc::clone(&self.name),
                stream: stream.to_owned(),
            }),
        }
    }
}
