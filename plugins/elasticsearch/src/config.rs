//! The manifest's `config` for this sink.

use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::http::Url;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};

use crate::index::Template;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Without the path of the bulk API.
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) index: Template,
    #[serde(default)]
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) attributes: Place,
    pub(crate) pipeline: Option<Pipeline>,
    #[serde(default)]
    pub(crate) headers: Headers,
    #[serde(default)]
    pub(crate) compression: Compression,
    #[serde(default)]
    pub(crate) max_body_kib: BodyKib,
    #[serde(default = "default_max_records")]
    pub(crate) max_records: NonZero<usize>,
    #[serde(default)]
    pub(crate) concurrency: Concurrency,
    #[serde(default)]
    pub(crate) timeout_ms: TimeoutMs,
}

/// What names a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Id {
    /// The record's id, and the time at which the node accepted it.
    #[default]
    Record,
    /// The producer's own id, and that of the record where there is none.
    Key,
}

/// Where attributes are in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In the object `attributes`.
    #[default]
    Nested,
    /// Beside the other fields.
    Root,
}

/// The name of an ingest pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pipeline(pub(crate) String);

impl TryFrom<String> for Pipeline {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(format!(
                "{name:?} is not taken for a pipeline: expected ASCII letters, digits, and -_.@"
            ));
        }
        Ok(Self(name))
    }
}

const fn default_max_records() -> NonZero<usize> {
    NonZero::<usize>::MIN.saturating_add(4999)
}
