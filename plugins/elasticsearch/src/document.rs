//! What Elasticsearch gets of a record: the line of its action, and its document.

use sluice_sink::time::Rfc3339;
use sluice_sink::{Row, Severity, json};

use crate::config::{Config, Id, Place};
use crate::index::Actions;

/// The longest `_id`, in bytes.
const MAX_ID_BYTES: usize = 512;
/// The fields of a document that are no attributes.
const FIELDS: [&str; 6] = [
    "@timestamp",
    "observed",
    "severity",
    "message",
    "id",
    "attributes",
];

/// Writes the records of a batch.
pub(crate) struct Documents<'a> {
    config: &'a Config,
    actions: Actions<'a>,
    times: Rfc3339,
    observed: Observed,
}

/// When the last record was accepted: often, those of a request were so together.
struct Observed {
    nanoseconds: u64,
    hexadecimal: Vec<u8>,
    rfc3339: Vec<u8>,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self {
            config,
            actions: Actions::of(&config.index),
            times: Rfc3339::new(),
            observed: Observed::at(0),
        }
    }

    /// Appends the two lines of a record.
    pub(crate) fn push(&mut self, row: Row<'_>, out: &mut Vec<u8>) {
        if row.observed() != self.observed.nanoseconds {
            self.observed = Observed::at(row.observed());
        }
        out.extend_from_slice(self.actions.begin(row.timestamp()));
        self.push_id(row, out);
        out.extend_from_slice(b"}}\n");
        self.push_document(row, out);
        out.push(b'\n');
    }

    /// The same on each attempt. The time tells the records of two clusters apart, or
    /// of one cluster whose coordinator was emptied, so that none is taken for a
    /// repeat.
    fn push_id(&self, row: Row<'_>, out: &mut Vec<u8>) {
        let key = row.key().filter(|key| key.len() <= MAX_ID_BYTES);
        if let (Id::Key, Some(key)) = (self.config.id, key) {
            return json::string(key, out);
        }
        let id = row.id();
        out.push(b'"');
        for number in [id.epoch, id.sequence] {
            hexadecimal(number, out);
            out.push(b'-');
        }
        out.extend_from_slice(&self.observed.hexadecimal);
        out.push(b'"');
    }

    fn push_document(&mut self, row: Row<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"@timestamp":""#);
        self.times.push(row.timestamp(), out);
        out.extend_from_slice(br#"","observed":""#);
        out.extend_from_slice(&self.observed.rfc3339);
        out.push(b'"');
        if row.severity() != Severity::Unspecified {
            out.extend_from_slice(br#","severity":""#);
            out.extend_from_slice(row.severity().name().as_bytes());
            out.push(b'"');
        }
        if let Some(key) = row.key() {
            out.extend_from_slice(br#","id":"#);
            json::string(key, out);
        }
        out.extend_from_slice(br#","message":"#);
        json::string(row.body(), out);
        match self.config.attributes {
            Place::Root => push_beside(row, out),
            Place::Nested => {
                let mut attributes = row.attributes().peekable();
                if attributes.peek().is_some() {
                    out.extend_from_slice(br#","attributes":"#);
                    json::object(attributes, out);
                }
            }
        }
        out.push(b'}');
    }
}

impl Observed {
    fn at(nanoseconds: u64) -> Self {
        let (mut hex, mut rfc3339) = (Vec::new(), Vec::new());
        hexadecimal(nanoseconds, &mut hex);
        Rfc3339::new().push(nanoseconds, &mut rfc3339);
        Self {
            nanoseconds,
            hexadecimal: hex,
            rfc3339,
        }
    }
}

/// Appends the attributes as members. Elasticsearch refuses a document in which a name
/// comes twice, so those that the document has already get an underscore.
fn push_beside(row: Row<'_>, out: &mut Vec<u8>) {
    for (name, value) in row.attributes() {
        out.push(b',');
        if FIELDS.contains(&name) {
            let mut other = format!("{name}_");
            while row.attribute(&other).is_some() {
                other.push('_');
            }
            json::string(&other, out);
        } else {
            json::string(name, out);
        }
        out.push(b':');
        json::value(value, out);
    }
}

/// Appends a number in hexadecimal.
fn hexadecimal(number: u64, out: &mut Vec<u8>) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) % 16;
        let digit = b"0123456789abcdef".get(digit as usize).copied();
        out.push(digit.unwrap_or(b'0'));
    }
}
