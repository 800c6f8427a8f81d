//! Why the store did not do something, in Consul's words: clients look for
//! them.

use thiserror::Error;

/// Why the store did not do something, in Consul's words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No session was named.
    #[error("missing session")]
    NoSession,
    /// That is no session's id: an id has 36 characters.
    #[error("failed session lookup: index error: UUID must be 36 characters")]
    SessionId,
    /// There is no such session.
    #[error("invalid session {0:?}")]
    InvalidSession(String),
    /// There is no such node.
    #[error("Missing node registration")]
    UnknownNode,
    /// There is no such check.
    #[error("Missing check '{0}' registration")]
    UnknownCheck(String),
    /// The check is critical, so no session can be bound to it.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(String),
}
