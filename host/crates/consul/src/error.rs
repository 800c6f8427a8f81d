//! How a call to Consul can fail.

use thiserror::Error;

use super::refusal::Refusal;

/// A call failed. Unless Consul has refused it, it may still have taken effect.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be set up.
    #[error("set up the client for Consul")]
    Setup(#[source] reqwest::Error),
    /// The ACL token cannot be sent.
    #[error("use the token of CONSUL_HTTP_TOKEN: it is not plain ASCII")]
    Token,
    /// A PEM file cannot be used.
    #[error("use {file} for TLS to Consul")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer: the connection was refused or cut, or the time was over.
    #[error("{call}: no answer from Consul")]
    Transport {
        /// Method and path.
        call: String,
        /// The error of the connection.
        #[source]
        cause: reqwest::Error,
    },
    /// Consul refused the call.
    #[error("{call}: Consul answered {status}: {text}")]
    Status {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        text: String,
    },
    /// The answer is not in Consul's format.
    #[error("{call}: read Consul's answer")]
    Shape {
        /// Method and path.
        call: String,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether Consul says that the session of the call does not exist.
    #[must_use]
    pub fn is_invalid_session(&self) -> bool {
        self.is(Refusal::InvalidSession)
    }

    /// Whether the ACL token does not allow the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Status { status: 403, .. }) || self.is(Refusal::PermissionDenied)
    }

    /// Whether Consul found something wrong with the call, or has no room for it, so
    /// that it does not succeed by itself.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: 400 | 413 | 507,
                ..
            }
        )
    }

    /// Whether a session was refused because its check is not registered or not
    /// passing yet, which takes up to a second. It takes longer, and this is
    /// false, if Consul has lost the agent's host.
    #[must_use]
    pub fn is_check_not_ready(&self) -> bool {
        self.is(Refusal::CheckNotReady)
    }

    /// Whether the agent does not know the service.
    #[must_use]
    pub(super) fn is_unknown_service(&self) -> bool {
        self.is(Refusal::UnknownService)
    }

    /// Whether a session that was to end does not exist; said where there are
    /// ACLs.
    #[must_use]
    pub fn is_unknown_session(&self) -> bool {
        self.is(Refusal::UnknownSession)
    }

    fn is(&self, refusal: Refusal) -> bool {
        matches!(self, Self::Status { text, .. } if Refusal::of(text) == refusal)
    }
}
