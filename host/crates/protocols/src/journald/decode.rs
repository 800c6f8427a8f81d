//! Decodes entries to records.
//!
//! | field | becomes |
//! |---|---|
//! | `MESSAGE` | the body |
//! | `PRIORITY` | the severity |
//! | `__REALTIME_TIMESTAMP` (microseconds) | the time |
//! | `__CURSOR` | the key |
//! | `_HOSTNAME` | `host.name` |
//! | `SYSLOG_IDENTIFIER` | `service.name` |
//! | `_PID` | `process.pid` |
//! | any other | `journald.` and its name in lower case |
//!
//! A field of these that is repeated or not what it should be counts as any other.
//! The values of other fields that are repeated, which the journal allows, become
//! one JSON array in their order, as `journalctl --output=json` shows them.

use bytes::Bytes;
use serde::Serialize;

use super::fields::{Item, Items, Names};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::{severity, text};
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Text, Value};

/// The most attributes of a record; systemd reads no entry with more fields
/// (`ENTRY_FIELD_COUNT_MAX`).
pub(super) const ATTRIBUTES_MAX: usize = 1024;
/// The most attributes with names that are not the journal's.
const NAMED_MAX: usize = 4;
/// The most fields that become other attributes, with those that are repeated.
pub(super) const FIELDS_MAX: usize = ATTRIBUTES_MAX - NAMED_MAX;
/// The fewest bytes of an entry in practice.
const ENTRY_BYTES_MIN: usize = 256;

const HOST: Text = Text::from_static("host.name");
const SERVICE: Text = Text::from_static("service.name");
const PID: Text = Text::from_static("process.pid");

/// Decodes a body, or a part of one that a [`super::framer::Framer`] found. The
/// empty line at the end of the last entry may be missing. Places of rejections
/// count from the begin of the part.
///
/// # Errors
/// The body cannot be divided into entries.
pub fn entries(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let mut decoding = Decoding::new(meter, most);
    decoding.expect(body.len() / ENTRY_BYTES_MIN + 1);
    let mut items = Items::new(body);
    let mut entry = Entry::new(body, observed);
    while items.has_entry() && !decoding.is_stopped() {
        let mut framing = Ok(());
        let start = items.rest();
        let is_read = decoding.read(|meter| {
            let read;
            (read, framing) = entry.read(&mut items, meter);
            let record = read.and_then(|()| entry.record(meter));
            if record.is_err() {
                entry.names.forget();
            }
            record
        });
        framing?;
        if !is_read {
            let length = start.len() - items.rest().len();
            decoding.show(start.get(..length).unwrap_or_default());
        }
    }
    Ok(decoding.finish(body.len()))
}

/// The entry that is being read, in memory that is used again for the next one.
struct Entry<'a> {
    body: &'a Bytes,
    observed: u64,
    names: Names<'a>,
    message: Option<&'a [u8]>,
    priority: Option<u8>,
    microseconds: Option<u64>,
    cursor: Option<Text>,
    host: Option<&'a [u8]>,
    service: Option<&'a [u8]>,
    pid: Option<i64>,
    others: Vec<Field<'a>>,
    is_repeating: bool,
}

struct Field<'a> {
    attribute: Text,
    /// The first place of the same name in the list.
    first: usize,
    value: &'a [u8],
}

impl<'a> Entry<'a> {
    fn new(body: &'a Bytes, observed: u64) -> Self {
        Self {
            body,
            observed,
            names: Names::default(),
            message: None,
            priority: None,
            microseconds: None,
            cursor: None,
            host: None,
            service: None,
            pid: None,
            others: Vec::new(),
            is_repeating: false,
        }
    }

    /// Forgets the entry before.
    fn begin(&mut self) {
        self.names.begin_entry();
        self.message = None;
        self.priority = None;
        self.microseconds = None;
        self.cursor = None;
        self.host = None;
        self.service = None;
        self.pid = None;
        self.others.clear();
        self.is_repeating = false;
    }

    /// Reads to the end of the entry, whatever is wrong with its fields. Returns
    /// the first of that, and whether the end was found.
    fn read(
        &mut self,
        items: &mut Items<'a>,
        meter: &mut Meter,
    ) -> (Result<(), String>, Result<(), DecodeError>) {
        self.begin();
        let mut read = Ok(());
        loop {
            match items.next() {
                Ok(Item::End) => return (read, Ok(())),
                Ok(Item::Field { name, value }) => {
                    if read.is_ok() && !self.take(name, value) {
                        read = self.add(name, value, meter);
                    }
                }
                Err(error) => return (Err("cut off".to_owned()), Err(error)),
            }
        }
    }

    /// Takes a field that has a place of its own, if it is as it should be.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        match name {
            b"MESSAGE" => fill(&mut self.message, Some(value)),
            b"PRIORITY" => fill(&mut self.priority, priority(value)),
            b"__REALTIME_TIMESTAMP" => fill(&mut self.microseconds, microseconds(value)),
            b"__CURSOR" => {
                let cursor = text::shared(self.body, value).filter(|cursor| !cursor.is_empty());
                fill(&mut self.cursor, cursor)
            }
            b"_HOSTNAME" => fill(&mut self.host, Some(value)),
            b"SYSLOG_IDENTIFIER" => fill(&mut self.service, Some(value)),
            b"_PID" => fill(&mut self.pid, number(value)),
            _ => false,
        }
    }

    fn add(&mut self, name: &'a [u8], value: &'a [u8], meter: &mut Meter) -> Result<(), String> {
        let place = self.others.len();
        if place >= FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields; send fewer"));
        }
        let (attribute, first) = self.names.attribute(name, place, meter)?;
        self.is_repeating |= first != place;
        self.others.push(Field {
            attribute,
            first,
            value,
        });
        Ok(())
    }

    /// The record of what was read.
    fn record(&mut self, meter: &mut Meter) -> Result<LogRecord, String> {
        let stopped = || "stopped".to_owned();
        let message = self.message.unwrap_or_default();
        let (body, original) = text::body(self.body, message, meter).ok_or_else(stopped)?;
        let named = [
            (HOST, self.host.map(|host| text::value(self.body, host))),
            (
                SERVICE,
                self.service.map(|name| text::value(self.body, name)),
            ),
            (PID, self.pid.map(Value::Integer)),
            (text::ORIGINAL, original),
        ];
        let count = named.iter().filter(|(_, value)| value.is_some()).count();
        let mut attributes = Vec::with_capacity(count + self.others.len());
        let present = |(name, value): (Text, Option<Value>)| Some((name, value?));
        attributes.extend(named.into_iter().filter_map(present));
        match self.is_repeating {
            false => {
                let others = self.others.drain(..);
                attributes.extend(others.map(|field| field.single(self.body)));
            }
            true => self.gather(&mut attributes, meter).ok_or_else(stopped)?,
        }
        let time = self.microseconds.and_then(|us| us.checked_mul(1000));
        let priority = self.priority.and_then(severity::of_syslog);
        Ok(LogRecord {
            key: self.cursor.take(),
            timestamp: time.unwrap_or(self.observed),
            severity: priority.unwrap_or_default(),
            attributes: attributes.into(),
            ..LogRecord::with_body(body, self.observed)
        })
    }

    /// Adds one attribute for each name. `None` if there is no memory for that.
    fn gather(&mut self, attributes: &mut Vec<Attribute>, meter: &mut Meter) -> Option<()> {
        // Stable: the values of a name stay in their order.
        self.others.sort_by_key(|field| field.first);
        for same in self.others.chunk_by(|a, b| a.first == b.first) {
            attributes.push(match same {
                [one] => one.single(self.body),
                many => (
                    many.first()?.attribute.clone(),
                    Value::Json(array(many, meter)?),
                ),
            });
        }
        attributes.shrink_to_fit();
        Some(())
    }
}

impl Field<'_> {
    fn single(&self, body: &Bytes) -> Attribute {
        (self.attribute.clone(), text::value(body, self.value))
    }
}

/// A value in a JSON array.
#[derive(Serialize)]
#[serde(untagged)]
enum Element<'a> {
    Text(&'a str),
    /// Numbers, as `journalctl` shows what is no text.
    Bytes(&'a [u8]),
}

/// The values as a JSON array, charged. `None` if there is no memory for it.
fn array(fields: &[Field<'_>], meter: &mut Meter) -> Option<Text> {
    /// The most bytes that a byte becomes (`\u0000`), and those around a value.
    const ESCAPED: usize = 6;
    const AROUND: usize = 4;
    let before = meter.charged();
    let values = fields.iter().map(|field| field.value);
    let most = values.clone().map(|value| ESCAPED * value.len() + AROUND);
    if !meter.charge(most.sum()) {
        return None;
    }
    let elements = values.map(|value| match std::str::from_utf8(value) {
        Ok(text) => Element::Text(text),
        Err(_) => Element::Bytes(value),
    });
    let elements: Vec<_> = elements.collect();
    let mut json = serde_json::to_string(&elements).ok()?;
    json.shrink_to_fit();
    meter.reduce(before + json.len());
    Some(json.into())
}

/// Fills a place that is empty. Returns whether it did.
fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let fits = place.is_none() && value.is_some();
    if fits {
        *place = value;
    }
    fits
}

/// A syslog severity.
fn priority(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    }
}

/// A time that nanoseconds can say, other than 0.
fn microseconds(value: &[u8]) -> Option<u64> {
    let microseconds = std::str::from_utf8(value).ok()?.parse::<u64>().ok()?;
    let nanoseconds = microseconds.checked_mul(1000)?;
    (nanoseconds > 0).then_some(microseconds)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
