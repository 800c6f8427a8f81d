//! How a call to Consul can fail.

use thiserror::Error;

/// A call without an answer that can be used. Unless it says otherwise, the
/// call may have taken effect.
#[derive(Debug, Error)]
pub enum Error {
    /// The client could not be set up.
    #[error("set up the client for Consul")]
    Setup(#[source] reqwest::Error),
    /// The ACL token can not be sent.
    #[error("use the token of CONSUL_HTTP_TOKEN: it is not plain ASCII")]
    Token,
    /// A PEM file can not be used.
    #[error("use {file} for TLS to Consul")]
    Pem {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer: refused, cut, or not in time.
    #[error("{call}: no answer from Consul")]
    Transport {
        /// Method and path.
        call: String,
        /// Why not.
        #[source]
        cause: reqwest::Error,
    },
    /// An answer that says no.
    #[error("{call}: Consul answered {status}: {text}")]
    Status {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        text: String,
    },
    /// An answer of a shape that is not Consul's.
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
        self.says("invalid session")
    }

    /// Whether the ACL token does not allow the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Status { status: 403, .. }) || self.says("Permission denied")
    }

    /// Whether a session was refused because its check is not there yet, or
    /// not passing: up to a second after the check was registered. It is no
    /// matter of a second if Consul has lost the agent's host.
    #[must_use]
    pub fn is_check_not_ready(&self) -> bool {
        let of_the_host = self.says("'serfHealth'");
        self.says("Missing check") || self.says("critical state") && !of_the_host
    }

    /// Whether the agent knows no such service.
    #[must_use]
    pub fn is_unknown_service(&self) -> bool {
        self.says("Unknown service")
    }

    /// Whether a session that was to end is none; said where there are ACLs.
    #[must_use]
    pub fn is_unknown_session(&self) -> bool {
        self.says("Unknown session")
    }

    fn says(&self, words: &str) -> bool {
        matches!(self, Self::Status { text, .. } if text.contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_check_that_was_just_registered_is_soon_ready() {
        let refused = |text: &str| Error::Status {
            call: "PUT /v1/session/create".to_owned(),
            status: 500,
            text: text.to_owned(),
        };
        for (text, soon) in [
            ("Check 'service:sluice-a' is in critical state", true),
            ("Missing check 'service:sluice-a' registration", true),
            ("Missing check 'serfHealth' registration", true),
            ("rpc error: Check 'serfHealth' is in critical state", false),
            ("No cluster leader", false),
        ] {
            assert_eq!(refused(text).is_check_not_ready(), soon, "{text}");
        }
    }
}
