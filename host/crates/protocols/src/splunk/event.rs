//! Decodes the bodies of `/services/collector/event`: JSON objects back to back,
//! with or without white space between, or in arrays.
//!
//! Of an event, `event` is the record's text or has it (see `payload`), and its
//! other members are attributes, as are those of `fields` and what else the event
//! has. `time` is the time. `host`, `source`, `sourcetype` and `index` become
//! attributes by other names. Where a name repeats, the value in `event` counts
//! before the others.

use bytes::Bytes;

use super::payload::{Body, Payload};
use super::{HOST, INDEX, SOURCE, SOURCETYPE, answer};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::cursor::{Cursor, Kind, Token};
use crate::json::fields::{drained, merge_repeated};
use crate::json::members::Members;
use crate::json::objects::{self, Problem};
use crate::json::part::Parts;
use crate::meter::Meter;
use crate::{severity, text, time};
use sluice_types::record::{LogRecord, Severity, Text, Value};

/// Members that say how severe an event is, those of the Collector first.
const SEVERITY: [&str; 4] = [
    "otel.log.severity.number",
    "otel.log.severity.text",
    "severity",
    "level",
];

/// One record for each event; `most` at most. An event that is not accepted is
/// rejected alone. Where the body is no JSON, all that is left of it is one
/// rejection.
///
/// # Errors
/// There is no event, or none of them is accepted: then the error is about the
/// first one.
pub fn decode(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader {
        body,
        observed,
        around: Members::default(),
        payload: Members::default(),
    };
    let mut decoding = Decoding::new(meter, most);
    objects::each(body, &mut decoding, |cursor, meter| {
        reader.read(cursor, meter)
    });
    answer::unless_all_rejected(decoding.finish(body.len()))
}

/// Reads one event after the other.
struct Reader<'a> {
    body: &'a Bytes,
    observed: u64,
    /// What an event says around its payload, as attributes.
    around: Members,
    /// The members of its payload.
    payload: Members,
}

impl<'a> Reader<'a> {
    fn read<'b>(
        &mut self,
        cursor: &mut Cursor<'b>,
        meter: &mut Meter,
    ) -> Result<LogRecord, Problem> {
        self.around.clear();
        self.payload.clear();
        let parts = &mut Parts {
            whole: self.body,
            meter,
        };
        if cursor.peek() != Some(b'{') {
            cursor.value()?;
            return Err(Problem::Refused("not a JSON object".to_owned()));
        }
        let (mut payload, mut time) = (None, None);
        let mut is_first = true;
        cursor.take(b'{');
        while let Some(name) = cursor.member(&mut is_first)? {
            match name.bytes {
                b"event" => payload = Some(Payload::read(cursor, &mut self.payload, parts)?),
                b"time" => time = Some(cursor.value()?),
                b"fields" if cursor.peek() == Some(b'{') => {
                    self.around.add_object(cursor, parts)?;
                }
                b"fields" => match cursor.value()?.kind {
                    Kind::Null => {}
                    _ => self.around.refuse("fields is not an object".to_owned()),
                },
                b"host" => self.origin(HOST, cursor.value()?, parts),
                b"source" => self.origin(SOURCE, cursor.value()?, parts),
                b"sourcetype" => self.origin(SOURCETYPE, cursor.value()?, parts),
                b"index" => self.origin(INDEX, cursor.value()?, parts),
                _ => {
                    let value = cursor.value()?;
                    self.around.add(name, value, parts);
                }
            }
        }
        let body = self.text(payload, parts);
        body.and_then(|body| self.record(body, time, parts))
            .map_err(Problem::Refused)
    }

    fn origin(&mut self, name: Text, value: Token<'_>, parts: &mut Parts<'_>) {
        if value.kind != Kind::Null && !value.bytes.is_empty() {
            self.around.add_as(name, value, parts);
        }
    }

    /// The text of the payload, if there is one and nothing is refused.
    fn text(
        &mut self,
        payload: Option<Payload<'_>>,
        parts: &mut Parts<'_>,
    ) -> Result<Body, String> {
        self.around.refusal()?;
        self.payload.refusal()?;
        let payload = match payload {
            Some(Payload::Value(token)) if token.kind == Kind::Null => None,
            payload => payload,
        };
        let payload = payload.ok_or(answer::EVENT_REQUIRED)?;
        match payload {
            Payload::Value(token) if token.bytes.is_empty() => Err(answer::EVENT_BLANK.to_owned()),
            _ => {
                let body = payload.body(&mut self.payload, parts);
                body.ok_or_else(|| "stopped".to_owned())
            }
        }
    }

    /// Makes a record of what was read, and leaves nothing of it.
    fn record(
        &mut self,
        (body, original): Body,
        time: Option<Token<'_>>,
        parts: &mut Parts<'_>,
    ) -> Result<LogRecord, String> {
        let mut record = LogRecord::with_body(body, self.observed);
        if let Some(timestamp) = time.map_or(Ok(None), |time| timestamp(time, parts))? {
            record.timestamp = timestamp;
        }
        let all = &mut self.around;
        all.list.append(&mut self.payload.list);
        let original = original.map(|original| (text::ORIGINAL, original));
        all.list.extend(original);
        merge_repeated(&mut all.list);
        record.severity = take_severity(all);
        all.refusal()?;
        record.attributes = drained(&mut all.list).into();
        Ok(record)
    }
}

/// The time of an event in nanoseconds; `None` if it says none.
fn timestamp(time: Token<'_>, parts: &mut Parts<'_>) -> Result<Option<u64>, String> {
    let value = match time.kind {
        Kind::Null => return Ok(None),
        Kind::Text | Kind::Escaped if time.bytes.is_empty() => return Ok(None),
        Kind::Number => text::value(parts.whole, time.bytes),
        _ => parts.value(time).ok_or("stopped")?,
    };
    let nanoseconds = match value {
        Value::Text(text) => time::exact_nanoseconds(&text)?,
        other => time::nanoseconds(&other)?,
    };
    Ok(Some(nanoseconds).filter(|nanoseconds| *nanoseconds > 0))
}

/// Takes what says the severity of the event. What says something else, or is of
/// an unknown scale, stays.
fn take_severity(members: &mut Members) -> Severity {
    let understood =
        |field: &(Text, Value)| match (SEVERITY.iter().position(|n| field.0 == *n)?, &field.1) {
            (0, Value::Integer(number)) => Some((0, severity::of_number(*number)?)),
            (place @ 1.., Value::Text(name)) => Some((place, severity::of_name(name)?)),
            _ => None,
        };
    let all = members.list.iter().filter_map(understood);
    let Some((_, severity)) = all.min_by_key(|(place, _)| *place) else {
        return Severity::Unspecified;
    };
    let is_same = |field: &_| matches!(understood(field), Some((_, other)) if other == severity);
    members.list.retain(|field| !is_same(field));
    severity
}
