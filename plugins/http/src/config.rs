//! The manifest's `config` for this sink.

use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};
use sluice_sink::http::{Url, Verdict};

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
    pub(crate) headers: Headers,
    #[serde(default)]
    pub(crate) compression: Compression,
    #[serde(default)]
    pub(crate) max_body_kib: BodyKib,
    #[serde(default = "any_number")]
    pub(crate) max_records: NonZero<usize>,
    #[serde(default)]
    pub(crate) concurrency: Concurrency,
    #[serde(default)]
    pub(crate) timeout_ms: TimeoutMs,
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

const fn any_number() -> NonZero<usize> {
    NonZero::<usize>::MAX
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(&self) -> Result<(), Failure> {
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
