//! A record as a `LogRecord`, and what of it describes its resource and scope.

use sluice_sink::{Row, Severity, Value, json};

use crate::{value, wire};

/// The field `log_records` of a `ScopeLogs`.
const LOG_RECORDS: u8 = 2;
/// The attribute by which a destination can tell repeats.
const RECORD_ID: &str = "log.record.uid";

/// Encodes records.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Attributes that describe a resource, and the names with which they would say
    /// so themselves.
    resource_names: Vec<(String, String)>,
    with_id: bool,
    /// The content of the `Resource` of the last record.
    pub(crate) resource: Vec<u8>,
    /// The content of the `InstrumentationScope` of the last record.
    pub(crate) scope: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(resource_names: &[String], with_id: bool) -> Self {
        let full = |name: &String| (name.clone(), format!("resource.{name}"));
        Self {
            resource_names: resource_names.iter().map(full).collect(),
            with_id,
            resource: Vec::new(),
            scope: Vec::new(),
        }
    }

    /// Appends a record as the field of a `ScopeLogs`.
    pub(crate) fn push(&mut self, row: Row<'_>, out: &mut Vec<u8>) {
        self.resource.clear();
        self.scope.clear();
        wire::message(LOG_RECORDS, out, |out| self.record(row, out));
    }

    fn record(&mut self, row: Row<'_>, out: &mut Vec<u8>) {
        wire::fixed64(1, row.timestamp(), out);
        wire::fixed64(11, row.observed(), out);
        let (number, name) = severity(row.severity());
        if number > 0 {
            wire::number(2, number, out);
        }
        let mut has_severity_text = number == 0;
        wire::message(5, out, |out| wire::bytes(1, row.body().as_bytes(), out));
        let mut has_id = !self.with_id;
        for (name, value) in row.attributes() {
            has_severity_text |= name == "severity_text";
            has_id |= name == RECORD_ID;
            if !own_field(name, value, out) && !self.describes_source(row, name, value) {
                value::pair(6, name, value, out);
            }
        }
        if !has_severity_text {
            wire::bytes(3, name.as_bytes(), out);
        }
        if !has_id {
            push_id(row, out);
        }
    }

    /// Whether an attribute describes the resource or the scope, to which it is added.
    fn describes_source(&mut self, row: Row<'_>, name: &str, value: &Value) -> bool {
        if let Some(name) = name.strip_prefix("resource.") {
            value::pair(1, name, value, &mut self.resource);
            return true;
        }
        if let Some(rest) = name.strip_prefix("scope.") {
            let field = match rest {
                "name" => 1,
                "version" => 2,
                _ => {
                    value::pair(3, rest, value, &mut self.scope);
                    return true;
                }
            };
            wire::bytes(field, value.to_text().as_bytes(), &mut self.scope);
            return true;
        }
        let mut listed = self.resource_names.iter();
        let listed = listed.find(|(listed, _)| listed == name);
        let is_free = |(_, full): &&(String, String)| row.attribute(full).is_none();
        let is_moved = listed.filter(is_free).is_some();
        if is_moved {
            value::pair(1, name, value, &mut self.resource);
        }
        is_moved
    }
}

/// Appends an attribute that has a field of its own in a `LogRecord`, if it is what
/// belongs there.
fn own_field(name: &str, value: &Value, out: &mut Vec<u8>) -> bool {
    match (name, value) {
        ("trace_id", Value::Text(text)) => id::<16>(9, text, out),
        ("span_id", Value::Text(text)) => id::<8>(10, text, out),
        ("trace_flags", Value::Integer(flags)) => match u8::try_from(*flags) {
            Ok(flags) => {
                wire::fixed32(8, flags.into(), out);
                true
            }
            Err(_) => false,
        },
        ("severity_text", Value::Text(text)) => {
            wire::bytes(3, text.as_bytes(), out);
            true
        }
        ("event.name", Value::Text(text)) if !text.is_empty() => {
            wire::bytes(12, text.as_bytes(), out);
            true
        }
        _ => false,
    }
}

/// Appends an id of `N` bytes that is written in hexadecimal. All zeros mean none.
fn id<const N: usize>(field: u8, text: &str, out: &mut Vec<u8>) -> bool {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return false;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else {
            return false;
        };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return false;
        };
        *byte = (high << 4 | low) as u8;
    }
    let is_valid = id.iter().any(|byte| *byte != 0);
    if is_valid {
        wire::bytes(field, &id, out);
    }
    is_valid
}

fn push_id(row: Row<'_>, out: &mut Vec<u8>) {
    let id = row.id();
    wire::message(6, out, |out| {
        wire::bytes(1, RECORD_ID.as_bytes(), out);
        wire::message(2, out, |out| {
            wire::message(1, out, |out| {
                json::integer(id.epoch, out);
                out.push(b'-');
                json::integer(id.sequence, out);
            });
        });
    });
}

/// OpenTelemetry's lowest number of a range, and its name; 0 for none.
const fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Unspecified => (0, ""),
        Severity::Trace => (1, "TRACE"),
        Severity::Debug => (5, "DEBUG"),
        Severity::Info => (9, "INFO"),
        Severity::Warn => (13, "WARN"),
        Severity::Error => (17, "ERROR"),
        Severity::Fatal => (21, "FATAL"),
    }
}
