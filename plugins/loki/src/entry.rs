//! What Loki gets of a record: the labels of its stream, and its entry.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sluice_sink::{Batch, Lines, Row, Rows, Severity, Value, json};

use crate::config::{Config, Rest};

/// A longer value is no label but stays an attribute. Loki's default for
/// `max_label_value_length`.
const MAX_LABEL_BYTES: usize = 2048;
/// The digits of a time, in nanoseconds, that tell records of one moment apart.
const UNIQUE_NANOS: u64 = 1000;

/// The records of a write.
pub(crate) struct Records<'a> {
    config: &'a Config,
    rows: Rows<'a>,
    /// One JSON object per record, if those are the lines.
    lines: &'a [&'a [u8]],
    /// The labels that all records have: an object without its last brace.
    fixed: Vec<u8>,
}

/// The lines of the records, if they are JSON objects.
pub(crate) fn json_lines(config: &Config, batch: &Batch) -> Lines {
    match config.attributes {
        Rest::Line => batch.json_lines(),
        Rest::Metadata | Rest::Drop => Lines::default(),
    }
}

impl<'a> Records<'a> {
    pub(crate) fn new(config: &'a Config, batch: &'a Batch, lines: &'a [&'a [u8]]) -> Self {
        let mut fixed = Vec::new();
        let mut members = Members::begin(b"{", &mut fixed);
        for (name, value) in &config.labels {
            json::string(value, members.name(name));
        }
        Self {
            config,
            rows: batch.rows(),
            lines,
            fixed,
        }
    }

    /// The time of a record as Loki gets it, in nanoseconds since the Unix epoch.
    pub(crate) fn time(&self, index: usize) -> u64 {
        let row = self.rows.get(index);
        let time = row.timestamp();
        if !self.config.unique_times {
            return time;
        }
        time - time % UNIQUE_NANOS + row.id().sequence % UNIQUE_NANOS
    }

    /// Parts these records by the labels of their streams.
    pub(crate) fn by_stream(&self, indices: &[usize]) -> BTreeMap<Vec<u8>, Vec<usize>> {
        let mut all: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for index in indices {
            let mut labels = Vec::new();
            self.push_labels(*index, &mut labels);
            all.entry(labels).or_default().push(*index);
        }
        all
    }

    /// Appends the labels of a record: a JSON object.
    pub(crate) fn push_labels(&self, index: usize, out: &mut Vec<u8>) {
        let row = self.rows.get(index);
        out.extend_from_slice(&self.fixed);
        // There is at least one fixed label.
        let mut members = Members::begin(b",", out);
        for (name, attribute) in &self.config.label_attributes {
            if let Some(value) = row.attribute(attribute).filter(|value| is_label(value)) {
                json::text_of(value, members.name(name));
            }
        }
        if let Some(name) = &self.config.severity_label
            && row.severity() != Severity::Unspecified
        {
            json::string(row.severity().name(), members.name(name));
        }
        out.push(b'}');
    }

    /// Appends the entry of a record: a JSON array of time, line and metadata.
    pub(crate) fn push_entry(&self, index: usize, out: &mut Vec<u8>) {
        let row = self.rows.get(index);
        out.extend_from_slice(b"[\"");
        json::integer(self.time(index), out);
        out.extend_from_slice(b"\",");
        let line = self.lines.get(index);
        let line = line.and_then(|line| std::str::from_utf8(line).ok());
        json::string(line.unwrap_or_else(|| row.body()), out);
        if self.config.attributes == Rest::Metadata {
            self.push_metadata(row, out);
        }
        out.push(b']');
    }

    fn push_metadata(&self, row: Row<'_>, out: &mut Vec<u8>) {
        let mut members = Members::begin(b",{", out);
        for (name, value) in row.attributes() {
            let mut labels = self.config.label_attributes.values();
            if labels.any(|label| label == name) && is_label(value) {
                continue;
            }
            json::text_of(value, members.name(&metadata_name(name, row)));
        }
        let is_free = |name| row.attribute(name).is_none();
        if self.config.severity_label.is_none()
            && row.severity() != Severity::Unspecified
            && is_free("severity")
        {
            json::string(row.severity().name(), members.name("severity"));
        }
        if let (Some(key), true) = (row.key(), is_free("id")) {
            json::string(key, members.name("id"));
        }
        if !members.is_empty {
            out.push(b'}');
        }
    }
}

/// Whether an attribute can be the value of a label.
fn is_label(value: &Value) -> bool {
    let length = value.to_text().len();
    (1..=MAX_LABEL_BYTES).contains(&length)
}

/// A name that can be used in LogQL: what is no letter, digit or underscore becomes
/// an underscore. Another one is appended where the record has that name already.
fn metadata_name<'n>(name: &'n str, row: Row<'_>) -> Cow<'n, str> {
    let begins_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    let mut bytes = name.bytes();
    if bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !begins_with_digit
        && !name.is_empty()
    {
        return name.into();
    }
    let is_right = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut changed = String::with_capacity(name.len() + 1);
    if begins_with_digit || name.is_empty() {
        changed.push('_');
    }
    changed.extend(name.chars().map(|c| if is_right(c) { c } else { '_' }));
    while row.attributes().any(|(other, _)| other == changed) {
        changed.push('_');
    }
    changed.into()
}

/// Writes the members of an object.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    /// What stands in front of the first one.
    before: &'static [u8],
    is_empty: bool,
}

impl<'o> Members<'o> {
    const fn begin(before: &'static [u8], out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            before,
            is_empty: true,
        }
    }

    /// Appends a name, and returns where its value goes.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(self.before);
        self.before = b",";
        self.is_empty = false;
        json::string(name, self.out);
        self.out.push(b':');
        self.out
    }
}
