//! A record that is being decoded, from either form.

use super::common::Common;
use super::invalid::{Invalid, charge};
use super::json_text::JsonText;
use crate::json::fields::{drained, merge_repeated};
use crate::meter::Meter;
use crate::severity;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Severity, Text, Value};

const EVENT_NAME: Text = Text::from_static("event.name");
const SEVERITY_TEXT: Text = Text::from_static("severity_text");
const TRACE_ID: Text = Text::from_static("trace_id");
const SPAN_ID: Text = Text::from_static("span_id");
const TRACE_FLAGS: Text = Text::from_static("trace_flags");

/// What of the flags is W3C's trace flags; the rest is reserved.
const TRACE_FLAGS_MASK: u32 = 0xff;

/// Names that say no more of a severity than its range.
const PLAIN_NAMES: [(Severity, &[&str]); 6] = [
    (Severity::Trace, &["trace"]),
    (Severity::Debug, &["debug"]),
    (Severity::Info, &["info", "information", "informational"]),
    (Severity::Warn, &["warn", "warning"]),
    (Severity::Error, &["error", "err"]),
    (Severity::Fatal, &["fatal"]),
];

/// What was found of a record so far.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Nanoseconds; 0 if there is none.
    pub(super) time: u64,
    /// Nanoseconds; 0 if there is none.
    pub(super) observed_time: u64,
    pub(super) severity: Severity,
    pub(super) body: Text,
    pub(super) flags: u32,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) span_id: Option<[u8; 8]>,
    /// Whether a text shares the memory of something else than the body.
    pub(super) is_joined: bool,
    attributes: &'a mut Vec<Attribute>,
    /// How many attributes it may have.
    most: usize,
}

impl<'a> Draft<'a> {
    /// The value of an attribute that has none.
    pub(super) const NULL: Value = Value::Json(Text::from_static("null"));

    /// A record without anything. Its attributes are gathered in memory that is
    /// used again for the next one.
    pub(super) fn new(attributes: &'a mut Vec<Attribute>, common: &Common) -> Self {
        attributes.clear();
        Self {
            time: 0,
            observed_time: 0,
            severity: Severity::Unspecified,
            body: Text::new(),
            flags: 0,
            trace_id: None,
            span_id: None,
            is_joined: false,
            attributes,
            most: common.left(),
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, name: Text, value: Value) -> Result<(), Invalid> {
        if self.attributes.len() >= self.most {
            return Err(Invalid::TooManyAttributes);
        }
        self.attributes.push((name, value));
        Ok(())
    }

    /// The body: a text as it is, anything else as its JSON text.
    #[inline(always)]
    pub(super) fn set_body(&mut self, value: Value, meter: &mut Meter) -> Result<(), Invalid> {
        self.body = match value {
            Value::Text(text) | Value::Json(text) => text,
            other => json_of(&other, meter)?,
        };
        Ok(())
    }

    /// The name of an event, which is not empty.
    pub(super) fn push_event_name(&mut self, name: Value) -> Result<(), Invalid> {
        self.push(EVENT_NAME, name)
    }

    /// The severity, and its text if that says more. The text counts where the
    /// number says nothing.
    pub(super) fn set_severity(
        &mut self,
        number: i64,
        text: &[u8],
        value: impl FnOnce() -> Value,
    ) -> Result<(), Invalid> {
        let of_text = || severity::of_name(std::str::from_utf8(text).ok()?);
        let severity = severity::of_number(number).or_else(of_text);
        self.severity = severity.unwrap_or_default();
        match text.is_empty() || is_plain_name(self.severity, text) {
            true => Ok(()),
            false => self.push(SEVERITY_TEXT, value()),
        }
    }

    /// The record. Ids as text are charged.
    pub(super) fn finish(
        mut self,
        common: &Common,
        observed: u64,
        meter: &mut Meter,
    ) -> Result<LogRecord, Invalid> {
        self.push_trace(meter)?;
        merge_repeated(self.attributes);
        let times = [self.time, self.observed_time, observed];
        let mut record = LogRecord {
            timestamp: times.into_iter().find(|time| *time > 0).unwrap_or(0),
            severity: self.severity,
            attributes: common.with_own(drained(self.attributes)),
            ..LogRecord::with_body(self.body, observed)
        };
        if self.is_joined {
            charge(meter, record.text_bytes())?;
            record.detach();
        }
        Ok(record)
    }

    fn push_trace(&mut self, meter: &mut Meter) -> Result<(), Invalid> {
        if let Some(id) = self.trace_id {
            self.push(TRACE_ID, hex(&id, &mut [0; 32], meter)?)?;
        }
        if let Some(id) = self.span_id {
            self.push(SPAN_ID, hex(&id, &mut [0; 16], meter)?)?;
        }
        match self.flags & TRACE_FLAGS_MASK {
            0 => Ok(()),
            flags => self.push(TRACE_FLAGS, Value::Integer(flags.into())),
        }
    }
}

/// The id of a trace or a span; `None` if it is not valid: of another length, or
/// all zeros.
pub(super) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let id = <[u8; N]>::try_from(bytes).ok();
    id.filter(|id| *id != [0; N])
}

/// A value as JSON text, which is charged.
#[cold]
fn json_of(value: &Value, meter: &mut Meter) -> Result<Text, Invalid> {
    let mut json = JsonText::new(meter);
    match value {
        Value::Integer(integer) => json.value(integer),
        Value::Float(float) => json.float(*float),
        Value::Boolean(boolean) => json.value(boolean),
        Value::Bytes(bytes) => json.bytes(bytes),
        Value::Text(text) | Value::Json(text) => json.value(&**text),
    }?;
    Ok(json.finish())
}

/// The id as text, of twice as many digits.
fn hex(id: &[u8], digits: &mut [u8], meter: &mut Meter) -> Result<Value, Invalid> {
    charge(meter, digits.len())?;
    let encoded = hex::encode_to_slice(id, digits).ok();
    let text = encoded.and_then(|()| std::str::from_utf8(digits).ok());
    Ok(Value::Text(text.unwrap_or_default().into()))
}

fn is_plain_name(severity: Severity, text: &[u8]) -> bool {
    PLAIN_NAMES.iter().any(|(named, names)| {
        let is_text = |name: &&str| name.as_bytes().eq_ignore_ascii_case(text);
        *named == severity && names.iter().any(is_text)
    })
}
