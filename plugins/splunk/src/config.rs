//! The manifest's `config` for this sink.

use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::http::Url;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Without the path of the event endpoint.
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) event: Event,
    host: Option<Text>,
    source: Option<Text>,
    sourcetype: Option<Text>,
    index: Option<Text>,
    #[serde(default = "default_host_attribute")]
    host_attribute: Option<String>,
    source_attribute: Option<String>,
    sourcetype_attribute: Option<String>,
    index_attribute: Option<String>,
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

/// What an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// The message, with the attributes as indexed fields.
    #[default]
    Text,
    /// The record's JSON object.
    Json,
}

/// A text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_empty = text.is_empty();
        (!is_empty)
            .then_some(Self(text))
            .ok_or("expected a text that is not empty")
    }
}

/// A member of the envelope around an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'static str,
    /// For records without the attribute.
    pub(crate) fixed: Option<&'a str>,
    pub(crate) attribute: Option<&'a str>,
}

impl Config {
    /// The members of the envelope that Splunk has names for, with the index last.
    pub(crate) fn envelope(&self) -> [Member<'_>; 4] {
        fn member<'a>(
            name: &'static str,
            fixed: &'a Option<Text>,
            attribute: &'a Option<String>,
        ) -> Member<'a> {
            Member {
                name,
                fixed: fixed.as_ref().map(|text| text.0.as_str()),
                attribute: attribute.as_deref(),
            }
        }
        [
            member("host", &self.host, &self.host_attribute),
            member("source", &self.source, &self.source_attribute),
            member("sourcetype", &self.sourcetype, &self.sourcetype_attribute),
            member("index", &self.index, &self.index_attribute),
        ]
    }

    pub(crate) fn index_attribute(&self) -> Option<&str> {
        self.index_attribute.as_deref()
    }
}

/// OpenTelemetry's name.
fn default_host_attribute() -> Option<String> {
    Some("resource.host.name".to_owned())
}

const fn default_max_records() -> NonZero<usize> {
    NonZero::<usize>::MAX
}
