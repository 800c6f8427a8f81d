//! Why the store did not do something, in Consul's words: clients look for
//! them.

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error("missing session")]
    NoSession,
    #[error("failed session lookup: index error: UUID must be 36 characters")]
    SessionId,
    #[error("invalid session {0:?}")]
    InvalidSession(String),
    #[error("Missing node registration")]
    UnknownNode,
    #[error("Missing check '{0}' registration")]
    UnknownCheck(String),
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(String),
}
