//! The manifest's `config` for this sink.

use std::collections::BTreeMap;
use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};
use sluice_sink::http::{Url, check_header};

/// Loki's default for `max_label_names_per_series`.
const MAX_LABELS: usize = 15;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Without the path of the push API.
    pub(crate) url: Url,
    /// The labels that all records have, with their values.
    #[serde(default = "default_labels")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Further labels, and the attributes that they come from.
    #[serde(default)]
    pub(crate) label_attributes: BTreeMap<String, String>,
    /// The label for the severity.
    pub(crate) severity_label: Option<String>,
    #[serde(default)]
    pub(crate) attributes: Rest,
    #[serde(default = "yes")]
    pub(crate) unique_times: bool,
    pub(crate) tenant: Option<String>,
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

/// Where the attributes go that are no labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rest {
    /// Into structured metadata.
    #[default]
    Metadata,
    /// Into the line, which is the record's JSON object.
    Line,
    /// Nowhere.
    Drop,
}

fn default_labels() -> BTreeMap<String, String> {
    BTreeMap::from([("job".to_owned(), "sluice".to_owned())])
}

const fn yes() -> bool {
    true
}

const fn default_max_records() -> NonZero<usize> {
    NonZero::<usize>::MAX
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.labels.is_empty() {
            let problem = "expected at least one label, because Loki takes no stream without any";
            return Err(Failure::config("labels", problem));
        }
        let fixed = self.labels.keys().map(|name| ("labels", name));
        let others = self.label_attributes.keys();
        let others = others.map(|name| ("label_attributes", name));
        let severity = self.severity_label.iter();
        let severity = severity.map(|name| ("severity_label", name));
        let mut names = Vec::new();
        for (field, name) in fixed.chain(others).chain(severity) {
            check_label(name).map_err(|problem| Failure::config(field, problem))?;
            if names.contains(&name) {
                let problem = format!("the label {name:?} is named twice");
                return Err(Failure::config(field, problem));
            }
            names.push(name);
        }
        if names.len() > MAX_LABELS {
            let problem = format!("expected at most {MAX_LABELS} labels in all, as Loki does");
            return Err(Failure::config("label_attributes", problem));
        }
        if let Some(empty) = self.labels.iter().find(|(_, value)| value.is_empty()) {
            let problem = "expected a value that is not empty";
            return Err(Failure::config(&format!("labels.{}", empty.0), problem));
        }
        match &self.tenant {
            Some(tenant) => check_header("x-scope-orgid", tenant)
                .map_err(|problem| Failure::config("tenant", problem)),
            None => Ok(()),
        }
    }
}

/// Prometheus's rules for the names of labels.
fn check_label(name: &str) -> Result<(), String> {
    let is_right = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || begins_with_digit || !name.chars().all(is_right) {
        return Err(format!(
            "{name:?} is no name of a label: expected letters, digits and underscores, and no \
             digit in front"
        ));
    }
    if name.starts_with("__") {
        return Err(format!(
            "{name:?} is reserved: it begins with two underscores"
        ));
    }
    Ok(())
}
