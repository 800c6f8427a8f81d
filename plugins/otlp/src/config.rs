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

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
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
        Client::new().timeout(self.timeout()).max_answer(MAX_ANSWER)
    }

    /// How long the requests of a write may take together.
    pub(crate) fn budget(&self) -> Duration {
        self.timeout().max(BUDGET)
    }

    /// What a status means for the records of a body.
    pub(crate) fn verdict(&self, status: u16) -> Verdict {
        match self.refuse_statuses.contains(&status) {
            true => Verdict::Refuse,
            false => Verdict::of(status),
        }
    }

    /// The size of a body in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        let kib = usize::try_from(self.max_body_kib.get()).unwrap_or(usize::MAX);
        kib.saturating_mul(1 << 10)
    }

    const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.get())
    }
}
