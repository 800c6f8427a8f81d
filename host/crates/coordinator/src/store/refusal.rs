//! Why the store refused a change, in Consul's words, because clients match on
//! them.

use thiserror::Error;

use super::weight::{CATALOG_MAX, KEYS_MAX, SESSIONS_MAX};

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
    /// The keys would take too much memory. No text of Consul's.
    #[error(
        "the embedded coordinator is full: its keys take {} MiB at most; delete keys that are no \
         longer needed, or use a Consul cluster", KEYS_MAX >> 20
    )]
    KeysFull,
    /// The sessions would take too much memory. No text of Consul's.
    #[error(
        "the embedded coordinator is full: its sessions take {} MiB at most; destroy sessions that \
         are no longer needed, and give sessions a TTL", SESSIONS_MAX >> 20
    )]
    SessionsFull,
    /// Services and checks would take too much memory. No text of Consul's.
    #[error(
        "the embedded coordinator is full: its services and checks take {} MiB at most; deregister \
         services that are no longer needed", CATALOG_MAX >> 20
    )]
    CatalogFull,
    /// A session names a check that is critical.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(String),
}
