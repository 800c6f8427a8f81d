//! The manifest's `config` for this sink.

use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};
use sluice_sink::http::{Client, Url, Verdict};

/// How much of an answer is read: a collector may name each refused record.
const MAX_ANSWER: usize = 256 << 10;
/// Where collectors take logs.
const PATH: &str = "v1/logs";

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    url: Url,
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
    timeout_ms: TimeoutMs,
    #[serde(default)]
    refuse_statuses: Vec<u16>,
    /// Attributes that describe the resource, besides those that begin with
    /// `resource.`.
    #[serde(default = "default_resource")]
    pub(crate) resource: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) record_id: bool,
    #[serde(default)]
    pub(crate) partial_success: PartialSuccess,
}

/// What is done if the collector refuses some records of a request and does not say
/// which.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartialSuccess {
    /// The records are sent again in parts, until it is known.
    #[default]
    Search,
    /// All are acknowledged, and the log says how many are missing.
    Accept,
}

const fn any_number() -> NonZero<usize> {
    NonZero::<usize>::MAX
}

fn default_resource() -> Vec<String> {
    vec!["service.name".to_owned()]
}

const fn yes() -> bool {
    true
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let is_wrong = |status: &&u16| !(300..=599).contains(*status);
        if let Some(wrong) = self.refuse_statuses.iter().find(is_wrong) {
            let problem = format!("{wrong} is no status from 300 to 599");
            return Err(Failure::config("refuse_statuses", problem));
        }
        match self.resource.iter().any(String::is_empty) {
            true => Err(Failure::config("resource", "a name is empty")),
            false => Ok(()),
        }
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> Url {
        match self.url.path() {
            "/" => self.url.join(PATH),
            _ => self.url.clone(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.timeout_ms.client().max_answer(MAX_ANSWER)
    }

    /// What a status means for the records of a body.
    pub(crate) fn verdict(&self, status: u16) -> Verdict {
        match self.refuse_statuses.contains(&status) {
            true => Verdict::Refuse,
            false => Verdict::of(status),
        }
    }
}
