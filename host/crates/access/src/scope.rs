//! What a client may do.

use serde::Deserialize;

/// What a client may do. No scope includes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send records, on every route that takes them.
    Send,
    /// Read what passed: the tail, dead letters, rejects, history, the page's data.
    Read,
    /// Change things: roll back a sink, replay or purge dead letters, step down.
    Admin,
}

impl Scope {
    /// The name in the file of tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}
