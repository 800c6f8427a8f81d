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
        let rows = batch.rows();
        Self {
            config,
            rows,
            lines,
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
        let mut before = b'{';
        let mut push = |name: &str, value: &str| {
            out.push(before);
            json::string(name, out);
            out.push(b':');
            json::string(value, out);
            before = b',';
        };
        for (name, value) in &self.config.labels {
            push(name, value);
        }
        for (name, attribute) in &self.config.label_attributes {
            if let Some(value) = row.attribute(attribute).filter(|value| is_label(value)) {
                push(name, &value.to_text());
            }
        }
        if let Some(name) = &self.config.severity_label
            && row.severity() != Severity::Unspecified
        {
            push(name, row.severity().name());
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
        let mut members = Members::begin(out);
        for (name, value) in row.attributes() {
            let mut labels = self.config.label_attributes.values();
            if labels.any(|label| label == name) && is_label(value) {
                continue;
            }
            members.push(&metadata_name(name, row), &value.to_text());
        }
        let is_free = |name| row.attribute(name).is_none();
        if self.config.severity_label.is_none()
            && row.severity() != Severity::Unspecified
            && is_free("severity")
        {
            members.push("severity", row.severity().name());
        }
        if let (Some(key), true) = (row.key(), is_free("id")) {
            members.push("id", key);
        }
        members.end();
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
    let is_right = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.chars().all(is_right) && !begins_with_digit && !name.is_empty() {
        return name.into();
    }
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

/// The members of an object of strings, which is left out if it has none.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Members<'o> {
    const fn begin(out: &'o mut Vec<u8>) -> Self {
        let is_empty = true;
        Self { out, is_empty }
    }

    fn push(&mut self, name: &str, value: &str) {
        let before: &[u8] = if self.is_empty { b",{" } else { b"," };
        self.is_empty = false;
        self.out.extend_from_slice(before);
        json::string(name, self.out);
        self.out.push(b':');
        json::string(value, self.out);
    }

    fn end(self) {
        if !self.is_empty {
            self.out.push(b'}');
        }
    }
}
