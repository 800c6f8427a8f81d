//! The manifest's `config` for this sink.

use std::num::NonZero;
use std::time::Duration;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::tcp::Address;

use crate::subject::Subject;

/// Connecting and publishing have this time each, and a node ends a write after 10 s
/// by default (`limits.write_timeout_ms`).
const DEFAULT_TIMEOUT_MS: u64 = 4000;
const MAX_TIMEOUT_MS: u64 = 150_000;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) servers: Vec<Address>,
    #[serde(default)]
    pub(crate) subject: Subject,
    #[serde(default)]
    pub(crate) body: Form,
    /// In front of the ids of messages.
    #[serde(default)]
    pub(crate) id_prefix: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) token: Option<String>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: NonZero<u64>,
}

/// What a message holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// The record's JSON object.
    #[default]
    Json,
    /// The text of the record.
    Text,
}

const fn default_timeout_ms() -> NonZero<u64> {
    NonZero::<u64>::MIN.saturating_add(DEFAULT_TIMEOUT_MS - 1)
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.servers.is_empty() {
            return Err(Failure::config("servers", "expected at least one"));
        }
        if self.id_prefix.chars().any(|c| !c.is_ascii_graphic()) {
            let expected = "expected printable ASCII characters without spaces";
            return Err(Failure::config("id_prefix", expected));
        }
        if self.timeout_ms.get() > MAX_TIMEOUT_MS {
            let most = format!("expected at most {MAX_TIMEOUT_MS}");
            return Err(Failure::config("timeout_ms", most));
        }
        match (&self.user, &self.password, &self.token) {
            (Some(_), None, _) => Err(Failure::config("password", "it is missing beside user")),
            (None, Some(_), _) => Err(Failure::config("user", "it is missing beside password")),
            (Some(_), _, Some(_)) => Err(Failure::config("token", "expected either this or user")),
            _ => Ok(()),
        }
    }

    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.get())
    }
}
