//! Decodes a push request in JSON, as it is sent today and as it was sent to
//! `/api/prom/push`:
//!
//! ```json
//! {"streams": [{"stream": {"job": "a"}, "values": [["<ns>", "line", {"metadata": "b"}]]}]}
//! {"streams": [{"labels": "{job=\"a\"}", "entries": [{"ts": "<RFC 3339>", "line": "line"}]}]}
//! ```

use bytes::Bytes;
use serde_json::Error;
use sluice_types::record::{LogRecord, Text, Value};

use super::labels;
use super::stream::{ATTRIBUTES_MAX, Streams, too_many_attributes};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::fields::{Field, is_null};
use crate::json::object::{self, ObjectError};
use crate::json::share::Share;
use crate::json::walk::{Cursor, DEPTH_MAX, Raw, SyntaxError};
use crate::meter::Meter;
use crate::{text, time};

/// A number from this on is nanoseconds; see [`time::nanoseconds`].
const NANOSECONDS_MIN: u64 = 100_000_000_000_000_000;

/// The entries of a request as records, stream by stream; `most` entries at most.
/// What is not UTF-8 is replaced.
///
/// # Errors
/// The body is not JSON, or no object with streams. An entry that cannot be read,
/// or whose stream has no readable labels, is only rejected.
pub fn decode(
    body: &Bytes,
    tenant: Option<&str>,
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
        streams: Streams::new(tenant),
    };
    reader.request(&mut decoding).map_err(|error| {
        DecodeError::Malformed(format!("the body is no push request in JSON: {error}"))
    })?;
    Ok(decoding.finish(whole.len()))
}

struct Reader<'a> {
    whole: &'a Text,
    observed: u64,
    streams: Streams<'a>,
}

/// The parts of a stream.
#[derive(Default)]
struct Stream<'a> {
    labels: Option<Raw<'a>>,
    entries: Option<Raw<'a>>,
}

/// The parts of an entry; none of something else.
#[derive(Default)]
struct Entry<'a> {
    time: Option<&'a str>,
    line: Option<&'a str>,
    metadata: Option<&'a str>,
    is_too_deep: bool,
}

impl<'a> Entry<'a> {
    /// Reads the part of this name.
    fn read(&mut self, name: &str, cursor: &mut Cursor<'a>) -> Result<(), SyntaxError> {
        let Raw { json, is_too_deep } = cursor.skip()?;
        match name {
            "ts" => self.time = Some(json),
            "line" => self.line = Some(json),
            "structuredMetadata" => self.metadata = Some(json),
            _ => {}
        }
        self.is_too_deep |= is_too_deep;
        Ok(())
    }
}

impl<'a> Reader<'a> {
    fn request(&mut self, decoding: &mut Decoding<'_>) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::new(self.whole);
        cursor.each_field(|cursor, name| match (name, cursor.peek()) {
            ("streams", Some(b'[')) => cursor.each_element(|cursor| {
                self.stream(cursor, decoding)?;
                go_on(cursor, decoding)
            }),
            // Go writes null for an empty list.
            ("streams", Some(b'n')) => cursor.skip().map(drop),
            ("streams", _) => Err(cursor.expected("an array of streams")),
            _ => cursor.skip().map(drop),
        })?;
        cursor.end()
    }

    fn stream(
        &mut self,
        cursor: &mut Cursor<'a>,
        decoding: &mut Decoding<'_>,
    ) -> Result<(), SyntaxError> {
        if cursor.peek() != Some(b'{') {
            let stream = cursor.skip()?.json.as_bytes();
            decoding.add(stream, |_| Err("its stream is not an object".to_owned()));
            return Ok(());
        }
        // The labels may follow the entries.
        let Stream { labels, entries } = outline(cursor)?;
        let entries = entries.map_or("null", |entries| entries.json);
        if !entries.starts_with('[') {
            if entries != "null" {
                let reason = "the entries of its stream are not an array".to_owned();
                decoding.add(entries.as_bytes(), |_| Err(reason));
            }
            return Ok(());
        }
        let Self {
            whole,
            observed,
            ref mut streams,
        } = *self;
        let source = labels.map_or("null", |labels| labels.json);
        let is_too_deep = labels.is_some_and(|labels| labels.is_too_deep);
        streams.enter(source.as_bytes(), decoding.meter(), |fields, meter| {
            not_too_deep(is_too_deep)?;
            read_labels(whole, source, fields, meter)
        });
        Cursor::new(entries).each_element(|cursor| {
            let start = *cursor;
            let entry = entry(cursor)?;
            let is_read = decoding
                .read(|meter| streams.record(|own| record(whole, &entry, observed, own, meter)));
            if !is_read {
                decoding.show({ start }.skip()?.json.as_bytes());
            }
            go_on(cursor, decoding)
        })
    }
}

/// Ends the work that was stopped; the error does not count then.
fn go_on(cursor: &Cursor<'_>, decoding: &mut Decoding<'_>) -> Result<(), SyntaxError> {
    match decoding.is_stopped() {
        true => Err(cursor.expected("no more")),
        false => Ok(()),
    }
}

fn outline<'a>(cursor: &mut Cursor<'a>) -> Result<Stream<'a>, SyntaxError> {
    let mut parts = Stream::default();
    cursor.each_field(|cursor, name| {
        let value = cursor.skip()?;
        match name {
            "stream" | "labels" => parts.labels = Some(value),
            "values" | "entries" => parts.entries = Some(value),
            _ => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

/// An object, or the text of a label matcher.
fn read_labels(
    whole: &Text,
    labels: &str,
    fields: &mut Vec<Field>,
    meter: &mut Meter,
) -> Result<(), String> {
    match labels.as_bytes().first() {
        Some(b'{') => read_object(whole, labels, fields, meter),
        Some(b'"') => {
            let labels = read_text(whole, labels, meter)?.into_bytes();
            labels::parse(&labels, &labels, fields, meter)
        }
        Some(b'n') => Ok(()),
        _ => Err("the labels of its stream are not an object".to_owned()),
    }
}

/// Appends the fields of an object that are not null.
fn read_object(
    whole: &Text,
    json: &str,
    fields: &mut Vec<Field>,
    meter: &mut Meter,
) -> Result<(), String> {
    object::read(whole, json, ATTRIBUTES_MAX, fields, meter).map_err(|error| match error {
        ObjectError::TooMany => too_many_attributes(),
        ObjectError::Invalid(reason) => reason,
    })?;
    fields.retain(|(_, value)| !is_null(value));
    Ok(())
}

fn read_text(whole: &Text, json: &str, meter: &mut Meter) -> Result<Text, String> {
    let mut share = Share { whole, meter };
    share
        .quoted(json)
        .map_err(|error: Error| format!("a string cannot be read: {error}"))
}

/// An entry without the labels. Appends its metadata to `own`.
fn record(
    whole: &Text,
    entry: &Entry<'_>,
    observed: u64,
    own: &mut Vec<Field>,
    meter: &mut Meter,
) -> Result<LogRecord, String> {
    not_too_deep(entry.is_too_deep)?;
    let line = match entry.line {
        Some(line) if line.starts_with('"') => read_text(whole, line, meter)?,
        _ => return Err("its line is not a string".to_owned()),
    };
    let time = entry.time.ok_or("it has no time")?;
    match entry.metadata {
        None | Some("null") => {}
        Some(metadata) => read_object(whole, metadata, own, meter)
            .map_err(|reason| format!("its structured metadata: {reason}"))?,
    }
    Ok(LogRecord {
        timestamp: timestamp(whole, time)?.unwrap_or(observed),
        ..LogRecord::with_body(line, observed)
    })
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, SyntaxError> {
    let mut entry = Entry::default();
    match cursor.peek() {
        Some(b'[') => {
            let mut names = ["ts", "line", "structuredMetadata"].into_iter();
            cursor.each_element(|cursor| entry.read(names.next().unwrap_or_default(), cursor))?;
        }
        Some(b'{') => cursor.each_field(|cursor, name| entry.read(name, cursor))?,
        _ => drop(cursor.skip()?),
    }
    Ok(entry)
}

/// Nanoseconds since the Unix epoch; `None` if it is not said. Text and number,
/// in other units too, or as RFC 3339.
fn timestamp(whole: &Text, json: &str) -> Result<Option<u64>, String> {
    let said = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(json);
    match said.parse() {
        Ok(0) => Ok(None),
        Ok(nanoseconds @ NANOSECONDS_MIN..) => Ok(Some(nanoseconds)),
        _ if matches!(said, "" | "null") => Ok(None),
        _ => time::nanoseconds(&Value::Text(whole.slice_ref(said))).map(Some),
    }
}

fn not_too_deep(is_too_deep: bool) -> Result<(), String> {
    match is_too_deep {
        true => Err(format!("nested more than {DEPTH_MAX} levels deep")),
        false => Ok(()),
    }
}
