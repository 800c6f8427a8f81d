//! Decodes a push request in protobuf, already unpacked.
//!
//! ```text
//! PushRequest { 1: Stream* }
//! Stream      { 1: labels, 2: Entry* }
//! Entry       { 1: Timestamp { 1: seconds, 2: nanoseconds }, 2: line, 3: Pair* }
//! Pair        { 1: name, 2: value }
//! ```

use bytes::Bytes;
use sluice_types::record::LogRecord;

use super::labels;
use super::stream::{ATTRIBUTES_MAX, Streams, too_many_attributes};
use super::wire::{Field, Message, WireError};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::fields::Field as Attribute;
use crate::meter::Meter;
use crate::text;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The entries of a request as records, stream by stream; `most` entries at most.
///
/// # Errors
/// The body is no push request. An entry that cannot be read, or whose stream has
/// no readable labels, is only rejected.
pub fn decode(
    body: &Bytes,
    tenant: Option<&str>,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let mut decoding = Decoding::new(meter, most);
    let mut reader = Reader {
        body,
        observed,
        streams: Streams::new(tenant),
    };
    reader.request(&mut decoding).map_err(|error| {
        DecodeError::Malformed(format!(
            "the body is no push request: {error}; send protobuf in one block of snappy, or JSON \
             with the content type application/json"
        ))
    })?;
    Ok(decoding.finish(body.len()))
}

struct Reader<'a> {
    body: &'a Bytes,
    observed: u64,
    streams: Streams<'a>,
}

impl Reader<'_> {
    fn request(&mut self, decoding: &mut Decoding<'_>) -> Result<(), WireError> {
        let mut request = Message::new(self.body);
        while let Some(field) = request.field()? {
            match field {
                (1, Field::Bytes(stream)) => self.stream(stream, decoding)?,
                (1, _) => return Err(WireError::WrongType(1)),
                _ => {}
            }
            if decoding.is_stopped() {
                break;
            }
        }
        Ok(())
    }
}

impl<'a> Reader<'a> {
    fn stream(&mut self, stream: &'a [u8], decoding: &mut Decoding<'_>) -> Result<(), WireError> {
        // The labels may follow the entries.
        let (labels, entries) = outline(stream)?;
        if entries == 0 {
            return Ok(());
        }
        let Self {
            body,
            observed,
            ref mut streams,
        } = *self;
        streams.enter(labels, decoding.meter(), |fields, meter| {
            labels::parse(body, labels, fields, meter)
        });
        decoding.expect(entries);
        let mut fields = Message::new(stream);
        while let Some((number, field)) = fields.field()? {
            if let (2, Field::Bytes(entry)) = (number, field) {
                decoding.add(entry, |meter| {
                    streams.record(|own| record(body, entry, observed, own, meter))
                });
                if decoding.is_stopped() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The labels of a stream, and how many entries it has.
fn outline(stream: &[u8]) -> Result<(&[u8], usize), WireError> {
    let (mut labels, mut entries) = (&[][..], 0);
    let mut fields = Message::new(stream);
    while let Some(field) = fields.field()? {
        match field {
            (1, Field::Bytes(text)) => labels = text,
            (2, Field::Bytes(_)) => entries += 1,
            (number @ (1 | 2), _) => return Err(WireError::WrongType(number)),
            _ => {}
        }
    }
    Ok((labels, entries))
}

/// An entry without the labels. Appends its metadata to `own`.
fn record(
    body: &Bytes,
    entry: &[u8],
    observed: u64,
    own: &mut Vec<Attribute>,
    meter: &mut Meter,
) -> Result<LogRecord, String> {
    let malformed = |error: WireError| format!("the entry cannot be read: {error}");
    let mut time = Time::default();
    let mut line = &[][..];
    let mut fields = Message::new(entry);
    while let Some(field) = fields.field().map_err(malformed)? {
        match field {
            (1, Field::Bytes(timestamp)) => time.merge(timestamp).map_err(malformed)?,
            (2, Field::Bytes(text)) => line = text,
            (3, Field::Bytes(_)) if own.len() >= ATTRIBUTES_MAX => {
                return Err(too_many_attributes());
            }
            (3, Field::Bytes(pair)) => own.push(attribute(body, pair)?),
            (number @ 1..=3, _) => return Err(malformed(WireError::WrongType(number))),
            _ => {}
        }
    }
    let (line, original) = text::body(body, line, meter).ok_or("no memory for its line")?;
    if let Some(original) = original {
        own.push((text::ORIGINAL, original));
    }
    Ok(LogRecord {
        timestamp: time.nanoseconds()?.unwrap_or(observed),
        ..LogRecord::with_body(line, observed)
    })
}

fn attribute(body: &Bytes, pair: &[u8]) -> Result<Attribute, String> {
    let malformed = |error: WireError| format!("the metadata cannot be read: {error}");
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = Message::new(pair);
    while let Some(field) = fields.field().map_err(malformed)? {
        match field {
            (1, Field::Bytes(text)) => name = text,
            (2, Field::Bytes(text)) => value = text,
            (number @ (1 | 2), _) => return Err(malformed(WireError::WrongType(number))),
            _ => {}
        }
    }
    let name = text::shared(body, name).ok_or("a name in the metadata is not UTF-8")?;
    Ok((name, text::value(body, value)))
}

/// A time as protobuf writes it.
#[derive(Default)]
struct Time {
    seconds: i64,
    nanoseconds: i32,
}

impl Time {
    /// Reads what is given, and keeps the rest.
    fn merge(&mut self, timestamp: &[u8]) -> Result<(), WireError> {
        let mut fields = Message::new(timestamp);
        while let Some(field) = fields.field()? {
            match field {
                (1, Field::Varint(seconds)) => self.seconds = seconds.cast_signed(),
                (2, Field::Varint(nanoseconds)) => {
                    // Protobuf ignores the other half of a longer number.
                    let [a, b, c, d, ..] = nanoseconds.to_le_bytes();
                    self.nanoseconds = i32::from_le_bytes([a, b, c, d]);
                }
                (number @ (1 | 2), _) => return Err(WireError::WrongType(number)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Since the Unix epoch; `None` if it is not said.
    fn nanoseconds(&self) -> Result<Option<u64>, String> {
        let whole = || {
            let seconds = u64::try_from(self.seconds).ok()?;
            let nanoseconds = u64::try_from(self.nanoseconds).ok()?;
            let is_fraction = nanoseconds < NANOS_PER_SECOND;
            let whole = seconds
                .checked_mul(NANOS_PER_SECOND)?
                .checked_add(nanoseconds);
            whole.filter(|_| is_fraction)
        };
        let whole = whole().ok_or_else(|| {
            let Self {
                seconds,
                nanoseconds,
            } = self;
            format!("the time {seconds} s and {nanoseconds} ns is not between 1970 and 2554")
        })?;
        Ok((whole > 0).then_some(whole))
    }
}
