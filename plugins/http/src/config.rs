//! The manifest's `config` for this sink.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::{Client, MOST_AT_ONCE, Url, Verdict, check_header};

/// How long all requests of a write may take, unless one may take longer. A node
/// ends a write after 10 s by default.
const BUDGET: Duration = Duration::from_secs(8);
/// The longest time for a request. The manifest's `limits.write_timeout_ms` is to
/// be longer.
const MAX_TIMEOUT_MS: u64 = 300_000;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) method: Method,
    #[serde(default)]
    pub(crate) body: Form,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) compression: Compression,
    /// The size of a body before it is compressed.
    #[serde(default = "default_max_body_kib")]
    max_body_kib: NonZero<u32>,
    #[serde(default = "default_max_records")]
    pub(crate) max_records: NonZero<usize>,
    #[serde(default = "one")]
    pub(crate) concurrency: NonZero<usize>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: NonZero<u64>,
    #[serde(default)]
    retry_statuses: Vec<u16>,
    #[serde(default)]
    refuse_statuses: Vec<u16>,
}

/// The method of the requests.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

/// What a body looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// One JSON object per line.
    #[default]
    Ndjson,
    /// An array of the same objects.
    Json,
    /// One line per record, with the message only.
    Text,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
}

const fn default_max_body_kib() -> NonZero<u32> {
    NonZero::<u32>::MIN.saturating_add(1023)
}

const fn default_max_records() -> NonZero<usize> {
    NonZero::<usize>::MAX
}

const fn one() -> NonZero<usize> {
    NonZero::<usize>::MIN
}

const fn default_timeout_ms() -> NonZero<u64> {
    NonZero::<u64>::MIN.saturating_add(4999)
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (name, value) in &self.headers {
            check_header(name, value).map_err(|wrong| Failure::config("headers", wrong))?;
        }
        if self.concurrency.get() > MOST_AT_ONCE {
            let most = format!("expected at most {MOST_AT_ONCE}");
            return Err(Failure::config("concurrency", most));
        }
        if self.timeout_ms.get() > MAX_TIMEOUT_MS {
            let most = format!("expected at most {MAX_TIMEOUT_MS}");
            return Err(Failure::config("timeout_ms", most));
        }
        check_statuses("retry_statuses", &self.retry_statuses)?;
        check_statuses("refuse_statuses", &self.refuse_statuses)?;
        let mut retried = self.retry_statuses.iter();
        match retried.find(|status| self.refuse_statuses.contains(status)) {
            Some(both) => {
                let problem = format!("{both} is in retry_statuses, too");
                Err(Failure::config("refuse_statuses", problem))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn client(&self) -> Client {
        let timeout = Duration::from_millis(self.timeout_ms.get());
        Client::new().timeout(timeout).budget(timeout.max(BUDGET))
    }

    /// What a status means for the records of a body.
    pub(crate) fn verdict(&self, status: u16) -> Verdict {
        if self.retry_statuses.contains(&status) {
            Verdict::Retry
        } else if self.refuse_statuses.contains(&status) {
            Verdict::Refuse
        } else {
            Verdict::of(status)
        }
    }

    /// The size of a body in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        let kib = usize::try_from(self.max_body_kib.get()).unwrap_or(usize::MAX);
        kib.saturating_mul(1 << 10)
    }

    pub(crate) fn sets_header(&self, name: &str) -> bool {
        let mut names = self.headers.keys();
        names.any(|set| set.eq_ignore_ascii_case(name))
    }
}

/// Whether these can be statuses of an answer that is not `2xx`.
fn check_statuses(field: &str, statuses: &[u16]) -> Result<(), Failure> {
    let is_wrong = |status: &&u16| !(300..=599).contains(*status);
    match statuses.iter().find(is_wrong) {
        Some(wrong) => {
            let problem = format!("{wrong} is no status from 300 to 599");
            Err(Failure::config(field, problem))
        }
        None => Ok(()),
    }
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

impl Form {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}
