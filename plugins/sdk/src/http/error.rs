//! Why there is no answer.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::Failure;

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The method and the URL, without what may be secret.
    pub(super) target: String,
    /// Why.
    pub cause: Cause,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The manifest or the node does not permit this origin.
    Denied {
        /// The origin that is to be listed.
        origin: String,
    },
    /// There was no answer in time.
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection could not be made, or broke: the reason.
    Connection(String),
    /// The request was not sent, because of what an earlier one met.
    NotSent {
        /// What that was.
        reason: String,
        /// How long the destination wants to be left alone.
        after: Option<Duration>,
    },
    /// The request itself is wrong: what about it.
    Invalid(String),
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.cause)
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { origin } => write!(
                f,
                "the node denied the request (HTTP-request-denied): list {origin} in \
                 permissions.http of the manifest, and in --allow-http of each node"
            ),
            Self::Timeout { after } => write!(f, "no answer within {} ms", after.as_millis()),
            Self::Connection(reason) => f.write_str(reason),
            Self::NotSent { reason, .. } => write!(f, "not sent: {reason}"),
            Self::Invalid(reason) => write!(f, "the request cannot be sent: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    /// Retryable, unless the request itself is wrong. A permission can be given
    /// while the records wait.
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error.cause {
            Cause::Invalid(_) => Self::permanent(reason),
            Cause::NotSent { after, .. } => Self::retry(reason, after),
            Cause::Denied { .. } | Cause::Timeout { .. } | Cause::Connection(_) => {
                Self::retryable(reason)
            }
        }
    }
}
