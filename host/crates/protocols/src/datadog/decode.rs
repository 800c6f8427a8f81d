//! Decodes what Datadog's clients send.

use bytes::Bytes;
use serde_json::Error;
use sluice_types::record::{LogRecord, Severity, Text, Value};

use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::fields::{Field, as_text, drained, is_null, merge_repeated, take};
use crate::json::object;
use crate::json::share::Share;
use crate::json::walk::{Cursor, Raw, SyntaxError};
use crate::meter::Meter;
use crate::{severity, text, time};

const TEXT: [&str; 3] = ["message", "msg", "log"];
const TIME: [&str; 3] = ["timestamp", "@timestamp", "date"];
const SEVERITY: [&str; 3] = ["status", "severity", "level"];
const SERVICE: [&str; 1] = ["service"];
const HOST: [&str; 2] = ["hostname", "host"];
const SERVICE_NAME: Text = Text::from_static("service.name");
const HOST_NAME: Text = Text::from_static("host.name");

/// The most fields of an object, and so the most attributes of a record.
const ATTRIBUTES_MAX: usize = 1024;

/// One object, or an array of `most` at most. What is not UTF-8 is replaced. An
/// empty object, with which the agent asks whether it can send, is no record.
///
/// # Errors
/// The body is not JSON, or neither of the two.
pub fn json(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let Some((whole, _)) = text::body(body, body, meter) else {
        return Ok(Decoded::default());
    };
    let mut decoding = Decoding::new(meter, most);
    let mut reader = Reader {
        whole: &whole,
        observed,
        fields: Vec::new(),
    };
    reader.body(&mut decoding).map_err(|error| {
        DecodeError::Malformed(format!(
            "the body is no JSON object or array of them: {error}"
        ))
    })?;
    Ok(decoding.finish(whole.len()))
}

struct Reader<'a> {
    whole: &'a Text,
    observed: u64,
    /// The fields of the object that is being read, in memory that is used again.
    fields: Vec<Field>,
}

impl Reader<'_> {
    fn body(&mut self, decoding: &mut Decoding<'_>) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::new(self.whole);
        if cursor.peek() == Some(b'[') {
            cursor.each_element(|cursor| {
                let element = cursor.skip()?;
                decoding.add(element.json.as_bytes(), |meter| {
                    Ok(self.record(element, meter))
                });
                match decoding.is_stopped() {
                    // It does not count: the work was stopped.
                    true => Err(cursor.expected("no more")),
                    false => Ok(()),
                }
            })?;
        } else {
            let mut is_empty = true;
            let start = cursor;
            cursor.each_field(|cursor, _| {
                is_empty = false;
                cursor.skip().map(drop)
            })?;
            if !is_empty {
                let object = { start }.skip()?;
                decoding.add(object.json.as_bytes(), |meter| {
                    Ok(self.record(object, meter))
                });
            }
        }
        cursor.end()
    }

    fn record(&mut self, element: Raw<'_>, meter: &mut Meter) -> LogRecord {
        let before = meter.charged();
        self.fields.clear();
        let Self { whole, fields, .. } = self;
        let is_read = !element.is_too_deep
            && object::read(whole, element.json, ATTRIBUTES_MAX, fields, meter).is_ok();
        if is_read {
            return assemble(fields, self.observed);
        }
        meter.reduce(before);
        self.as_it_is(element.json, meter)
    }

    /// A record whose body is the text of a string, or the JSON of anything else.
    fn as_it_is(&self, json: &str, meter: &mut Meter) -> LogRecord {
        let whole = self.whole;
        let quoted = match json.starts_with('"') {
            true => Share { whole, meter }.quoted::<Error>(json).ok(),
            false => None,
        };
        let body = quoted.unwrap_or_else(|| whole.slice_ref(json));
        LogRecord::with_body(body, self.observed)
    }
}

/// Makes a record of the fields, and leaves none of them.
fn assemble(fields: &mut Vec<Field>, observed: u64) -> LogRecord {
    let mut record = LogRecord::with_body(Text::new(), observed);
    merge_repeated(fields);
    fields.retain(|(name, value)| !is_absent(name, value));
    if let Some((_, text)) = take(fields, &TEXT) {
        record.body = as_text(text);
    }
    if let Some((name, time)) = take(fields, &TIME) {
        match time::nanoseconds(&time) {
            Ok(0) => {}
            Ok(nanoseconds) => record.timestamp = nanoseconds,
            Err(_) => fields.push((name, time)),
        }
    }
    record.severity = take_severity(fields).unwrap_or_default();
    rename(fields, &SERVICE, SERVICE_NAME);
    rename(fields, &HOST, HOST_NAME);
    record.attributes = drained(fields).into();
    record
}

/// Whether a field that is named here says nothing. The agent sends empty texts.
fn is_absent(name: &Text, value: &Value) -> bool {
    let is_empty = is_null(value) || matches!(value, Value::Text(text) if text.is_empty());
    let named = [&TEXT[..], &TIME, &SEVERITY, &SERVICE, &HOST];
    is_empty && named.iter().any(|names| names.contains(&&**name))
}

/// Removes the first that is known: `status` may also be that of HTTP.
fn take_severity(fields: &mut Vec<Field>) -> Option<Severity> {
    SEVERITY.iter().find_map(|wanted| {
        let at = fields.iter().position(|(name, _)| name == wanted)?;
        let (_, value) = fields.get(at)?;
        let severity = match value {
            // Datadog takes numbers for those of syslog.
            Value::Integer(number) => severity::of_syslog(u8::try_from(*number).ok()?),
            Value::Text(name) => severity::of_name(name),
            _ => None,
        }?;
        fields.remove(at);
        Some(severity)
    })
}

/// Gives the first of `names` OpenTelemetry's name, unless that is there.
fn rename(fields: &mut [Field], names: &[&str], to: Text) {
    let is_there = |wanted: &str| fields.iter().position(|(name, _)| name == wanted);
    if is_there(&to).is_none()
        && let Some(at) = names.iter().find_map(|name| is_there(name))
        && let Some((name, _)) = fields.get_mut(at)
    {
        *name = to;
    }
}
