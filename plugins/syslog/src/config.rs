//! The manifest's `config` for this sink.

use std::num::NonZero;
use std::time::Duration;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::tcp::Address;

/// A node ends a write after 10 s by default (`limits.write_timeout_ms`).
const DEFAULT_TIMEOUT_MS: u64 = 8000;
const MAX_TIMEOUT_MS: u64 = 300_000;
/// rsyslog's default `maxMessageSize`.
const DEFAULT_MAX_MESSAGE_BYTES: u32 = 8192;
/// Enough for the longest header and the id of a record.
const MIN_MESSAGE_BYTES: u32 = 1024;
/// RFC 5424, 6.3.2.
const MAX_ID: usize = 32;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) address: Address,
    #[serde(default)]
    tls: bool,
    /// Whom the certificate is for, if not for the host of the address.
    tls_server_name: Option<String>,
    /// Of records that have no `syslog.facility`.
    #[serde(default)]
    pub(crate) facility: Facility,
    /// The element of the structured data that has the record's id and attributes.
    #[serde(default = "default_id")]
    structured_data: Option<String>,
    #[serde(default)]
    pub(crate) confirm: Confirm,
    #[serde(default = "default_max_message_bytes")]
    max_message_bytes: NonZero<u32>,
    #[serde(default)]
    pub(crate) too_long: TooLong,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: NonZero<u64>,
}

/// When the records of a write count as taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirm {
    /// When the receiver has closed the connection upon its end: it has read all.
    #[default]
    Close,
    /// When the system has them.
    Sent,
}

/// What becomes of messages that are too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TooLong {
    /// They are cut off.
    #[default]
    Cut,
    /// They are refused.
    Refuse,
}

/// Where a message comes from, in the words of RFC 5424.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Facility {
    Kern,
    #[default]
    User,
    Mail,
    Daemon,
    Auth,
    Syslog,
    Lpr,
    News,
    Uucp,
    Cron,
    Authpriv,
    Ftp,
    Ntp,
    Audit,
    Alert,
    Clock,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the default of a field that may be null"
)]
fn default_id() -> Option<String> {
    Some("sluice@32473".to_owned())
}

const fn default_max_message_bytes() -> NonZero<u32> {
    NonZero::<u32>::MIN.saturating_add(DEFAULT_MAX_MESSAGE_BYTES - 1)
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
        if self.timeout_ms.get() > MAX_TIMEOUT_MS {
            let most = format!("expected at most {MAX_TIMEOUT_MS}");
            return Err(Failure::config("timeout_ms", most));
        }
        match self.tls_server_name.as_deref() {
            Some("") => return Err(Failure::config("tls_server_name", "expected a name")),
            Some(_) if !self.tls => {
                return Err(Failure::config(
                    "tls_server_name",
                    "expected tls: true with it",
                ));
            }
            _ => {}
        }
        if self.max_message_bytes.get() < MIN_MESSAGE_BYTES {
            let least = format!("expected at least {MIN_MESSAGE_BYTES}");
            return Err(Failure::config("max_message_bytes", least));
        }
        let is_right = |c: char| c.is_ascii_graphic() && !"=]\"".contains(c);
        let wrong = self
            .structured_data
            .as_ref()
            .filter(|id| id.is_empty() || id.len() > MAX_ID || !id.chars().all(is_right));
        match wrong {
            Some(_) => {
                let expected = "expected 1 to 32 printable ASCII characters without spaces, \
                                equals signs, brackets and quotation marks, such as sluice@32473";
                Err(Failure::config("structured_data", expected))
            }
            None => Ok(()),
        }
    }

    /// Whom the certificate of the receiver has to be for, with TLS.
    pub(crate) fn tls_server_name(&self) -> Option<&str> {
        let name = self.tls_server_name.as_deref();
        self.tls.then(|| name.unwrap_or(self.address.host()))
    }

    pub(crate) fn structured_data(&self) -> Option<&str> {
        self.structured_data.as_deref()
    }

    pub(crate) fn max_message_bytes(&self) -> usize {
        usize::try_from(self.max_message_bytes.get()).unwrap_or(usize::MAX)
    }

    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.get())
    }
}
