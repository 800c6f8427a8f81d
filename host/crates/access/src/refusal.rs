//! Why a client may not do what it asks for.

use std::sync::Arc;

use thiserror::Error;

use crate::scope::Scope;

/// Why a client may not do what it asks for. The texts are for the client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The node wants a token, and there was none.
    #[error(
        "this node wants a token: send the header Authorization: Bearer <token>, or show a certificate \
         if the node has --tls-client-ca"
    )]
    NoToken,
    /// The token is not one of those that the node knows.
    #[error("this node does not know this token")]
    WrongToken,
    /// The node checked the certificate, and its file of tokens does not list its name.
    #[error("the certificate of {0} is not listed in the node's --tokens")]
    UnknownCertificate(Arc<str>),
    /// The node knows the client, which may do other things.
    #[error(
        "client {client} may not do this: its token needs the scope {:?} in the node's --tokens",
        .scope.name()
    )]
    Scope {
        /// The client's name.
        client: Arc<str>,
        /// What it would need.
        scope: Scope,
    },
    /// The client may do it on other streams.
    #[error("client {client} may not use stream {stream}: its token lists other streams")]
    Stream {
        /// The client's name.
        client: Arc<str>,
        /// The stream that it asked for.
        stream: String,
    },
}

impl Refusal {
    /// The client, if the node knows it.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        match self {
            Self::NoToken | Self::WrongToken | Self::UnknownCertificate(_) => None,
            Self::Scope { client, .. } | Self::Stream { client, .. } => Some(client),
        }
    }

    /// Whether the node knows the client: `403` rather than `401`.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.client().is_some()
    }
}
