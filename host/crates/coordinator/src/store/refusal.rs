//! Why the store refused a change, in Consul's words, because clients match on
//! them.

use thiserror::Error;

/// Why the store refused a change. The texts are Consul's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// A lock operation names no session.
    #[error("missing session")]
    NoSession,
    /// A session's id does not have the length of a UUID.
    #[error("failed session lookup: index error: UUID must be 36 characters")]
    SessionId,
    /// A lock operation names a session that does not exist.
    #[error("invalid session {0:?}")]
    InvalidSession(String),
    /// A session names a node that does not exist.
    #[error("Missing node registration")]
    UnknownNode,
    /// A session names a check that does not exist.
    #[error("Missing check '{0}' registration")]
    UnknownCheck(String),
    /// A session names a check that is critical.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(String),
}
