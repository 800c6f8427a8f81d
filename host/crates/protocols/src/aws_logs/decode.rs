//! Decodes the events of `PutLogEvents` to records.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::share::Share;
use crate::meter::Meter;
use crate::text;
use sluice_types::attributes::{Attribute, Attributes, SharedAttributes};
use sluice_types::excerpt::excerpt;
use sluice_types::record::{LogRecord, Text, Value, overhead};

/// OpenTelemetry's names. Their values are arrays, because a resource can have
/// more than one group.
pub(super) const GROUPS: Text = Text::from_static("aws.log.group.names");
pub(super) const STREAMS: Text = Text::from_static("aws.log.stream.names");
/// The longest name of a group or a stream as JSON, in bytes: of 512 characters,
/// as CloudWatch allows, with room for escapes.
const NAME_BYTES_MAX: usize = 4 << 10;
/// The fewest bytes of an event in practice.
const EVENT_BYTES_MIN: usize = 128;
/// What stands for a byte that is not UTF-8 while the JSON is read: one byte, so
/// that everything keeps its place, and one that a JSON string can have.
const PLACEHOLDER: char = '\u{7f}';
/// The most characters of a value that is repeated as wrong.
const SHOWN_CHARS: usize = 40;

/// A request, with what is not needed left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    log_group_name: Option<&'a RawValue>,
    #[serde(borrow)]
    log_stream_name: Option<&'a RawValue>,
    #[serde(borrow)]
    log_events: &'a RawValue,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

/// Decodes a body. Its group and stream, which may follow the events, are shared
/// by all records.
///
/// A message that is not UTF-8, as Docker sends it if a container writes such bytes,
/// has its original bytes as an attribute.
///
/// # Errors
/// The body is no JSON of this form, or a name is too long.
pub fn put_log_events(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let whole = match Text::try_from(body.clone()) {
        Ok(whole) => whole,
        Err(_) if meter.charge(body.len()) => with_placeholders(body),
        // The meter says why.
        Err(_) => return Ok(Decoded::default()),
    };
    let malformed = |error: serde_json::Error| {
        DecodeError::Malformed(format!("the body is not JSON of PutLogEvents: {error}"))
    };
    is_a('{', &whole, "the body is not an object")?;
    let request: Request<'_> = serde_json::from_str(&whole).map_err(malformed)?;
    let names = [
        (GROUPS, request.log_group_name),
        (STREAMS, request.log_stream_name),
    ];
    let shared = shared(names, meter)?;
    let events = request.log_events.get();
    is_a('[', events, "logEvents is not an array")?;
    let reader = Reader {
        body,
        whole: &whole,
        observed,
        shared,
    };
    let mut decoding = Decoding::new(meter, most);
    decoding.expect(events.len() / EVENT_BYTES_MIN + 1);
    let each = Events(|event: &RawValue| {
        let source = event.get().as_bytes();
        decoding.add(source, |meter| reader.read(event.get(), meter));
        !decoding.is_stopped()
    });
    let read = serde_json::Deserializer::from_str(events).deserialize_seq(each);
    read.map_err(malformed)?;
    Ok(decoding.finish(body.len()))
}

/// Checks how a value begins. The error for another type would repeat all of it.
fn is_a(begin: char, json: &str, otherwise: &str) -> Result<(), DecodeError> {
    match json.trim_ascii_start().starts_with(begin) {
        true => Ok(()),
        false => Err(DecodeError::Malformed(otherwise.to_owned())),
    }
}

/// The same text with one placeholder for each wrong byte.
fn with_placeholders(body: &[u8]) -> Text {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| PLACEHOLDER));
    }
    text.into()
}

/// The attributes of a request, charged.
fn shared(
    names: [(Text, Option<&RawValue>); 2],
    meter: &mut Meter,
) -> Result<SharedAttributes, DecodeError> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for (attribute, name) in names {
        let Some(name) = name.map(RawValue::get) else {
            continue;
        };
        if !name.starts_with('"') || name.len() > NAME_BYTES_MAX {
            return Err(DecodeError::Malformed(
                "the name of the group or stream is no text of at most 512 characters".to_owned(),
            ));
        }
        if meter.charge(overhead(1) + attribute.len() + name.len()) {
            attributes.push((attribute, Value::Json(format!("[{name}]").into())));
        }
    }
    Ok(SharedAttributes::new(attributes))
}

/// Reads one event after the other.
struct Reader<'a> {
    body: &'a Bytes,
    /// The same as text.
    whole: &'a Text,
    observed: u64,
    shared: SharedAttributes,
}

impl Reader<'_> {
    fn read(&self, event: &str, meter: &mut Meter) -> Result<LogRecord, String> {
        // The error for another type would repeat the whole value.
        if !event.starts_with('{') {
            return Err("the event is not an object".to_owned());
        }
        let event: Event<'_> =
            serde_json::from_str(event).map_err(|error| format!("the event is wrong: {error}"))?;
        let message = event.message.map(RawValue::get);
        let message = message.filter(|message| message.starts_with('"'));
        let message = message.ok_or("the event has no text as its message")?;
        let (body, original) = self.message(message, meter)?;
        let own = original.map(|original| (text::ORIGINAL, original));
        Ok(LogRecord {
            timestamp: match event.timestamp {
                Some(time) => nanoseconds(time.get())?.unwrap_or(self.observed),
                None => self.observed,
            },
            attributes: Attributes::with_shared(&self.shared, own.into_iter().collect()),
            ..LogRecord::with_body(body, self.observed)
        })
    }

    /// The text of a JSON string, and its bytes if they are not UTF-8.
    fn message(&self, json: &str, meter: &mut Meter) -> Result<(Text, Option<Value>), String> {
        let at = json.as_ptr().addr() - self.whole.as_bytes().as_ptr().addr();
        let original = self.body.get(at..at + json.len()).unwrap_or_default();
        if original == json.as_bytes() {
            let whole = self.whole;
            let text = Share { whole, meter }.quoted::<serde_json::Error>(json);
            if let Ok(text) = text {
                return Ok((text, None));
            }
        }
        // Wrong bytes, or half of a surrogate pair. Unescaping makes no text longer.
        let stopped = || "stopped".to_owned();
        if !meter.charge(original.len()) {
            return Err(stopped());
        }
        let bytes = serde_json::Deserializer::from_slice(original).deserialize_bytes(Unescaped);
        let bytes = bytes.map_err(|error| format!("the message is wrong: {error}"))?;
        text::body(&bytes, &bytes, meter).ok_or_else(stopped)
    }
}

/// Nanoseconds of a time in milliseconds; `None` if it is 0 or null.
fn nanoseconds(json: &str) -> Result<Option<u64>, String> {
    if json == "null" {
        return Ok(None);
    }
    let milliseconds = json.parse::<u64>().ok();
    let nanoseconds = milliseconds.and_then(|ms| ms.checked_mul(1_000_000));
    let wrong = || {
        let shown = excerpt(json, SHOWN_CHARS);
        format!("the timestamp {shown} is no time in milliseconds between 1970 and 2554")
    };
    nanoseconds
        .ok_or_else(wrong)
        .map(|time| (time > 0).then_some(time))
}

/// The bytes of a JSON string.
struct Unescaped;

impl Visitor<'_> for Unescaped {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

/// Calls a function with each element of a JSON array, until it says false.
struct Events<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> bool> Visitor<'de> for Events<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut events: A) -> Result<(), A::Error> {
        while let Some(event) = events.next_element()? {
            if !(self.0)(event) {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
