//! Decodes records.

use bytes::Bytes;

use super::pieces::{Part, Pieces};
use super::value::{AnyValue, KeyValue};
use crate::meter::Meter;
use crate::otlp::common::Common;
use crate::otlp::draft::{Draft, id};
use crate::otlp::invalid::Invalid;
use crate::otlp::wire::Fields;
use crate::text;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Value};

/// Reads one record after the other.
#[derive(Debug)]
pub(super) struct RecordReader<'a> {
    body: &'a Bytes,
    observed: u64,
    /// The attributes of the record that is being read, in memory that is used
    /// again for the next one.
    attributes: Vec<Attribute>,
}

impl<'a> RecordReader<'a> {
    /// For records of this body that were observed at this time.
    pub(super) const fn new(body: &'a Bytes, observed: u64) -> Self {
        Self {
            body,
            observed,
            attributes: Vec::new(),
        }
    }

    /// Reads a record, which is a part of the body.
    pub(super) fn read(
        &mut self,
        record: &[u8],
        common: &Common,
        meter: &mut Meter,
    ) -> Result<LogRecord, Invalid> {
        let mut draft = Draft::new(&mut self.attributes, common);
        let mut body = Pieces::default();
        let mut severity = 0;
        let (mut severity_text, mut event_name) = (&b""[..], &b""[..]);
        let mut fields = Fields(record);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => draft.time = fields.fixed64(tag, "time_unix_nano")?,
                2 => severity = fields.varint(tag, "severity_number")?,
                3 => severity_text = fields.bytes(tag, "severity_text")?,
                5 => body.push(fields.bytes(tag, "body")?, meter)?,
                6 => push(
                    &mut draft,
                    self.body,
                    fields.bytes(tag, "attributes")?,
                    meter,
                )?,
                8 => draft.flags = fields.fixed32(tag, "flags")?,
                9 => draft.trace_id = id(fields.bytes(tag, "trace_id")?),
                10 => draft.span_id = id(fields.bytes(tag, "span_id")?),
                11 => draft.observed_time = fields.fixed64(tag, "observed_time_unix_nano")?,
                12 => event_name = fields.bytes(tag, "event_name")?,
                _ => fields.skip(tag)?,
            }
        }
        set_body(&mut draft, self.body, body, meter)?;
        if !event_name.is_empty() {
            draft.push_event_name(text::value(self.body, event_name))?;
        }
        // An enum has 32 bits; what is beyond them does not count.
        draft.set_severity((severity as i32).into(), severity_text, || {
            text::value(self.body, severity_text)
        })?;
        draft.finish(common, self.observed, meter)
    }
}

#[inline(always)]
fn push(
    draft: &mut Draft<'_>,
    whole: &Bytes,
    attribute: &[u8],
    meter: &mut Meter,
) -> Result<(), Invalid> {
    let attribute = KeyValue::read(attribute, meter)?;
    let name = attribute.name(whole, meter)?;
    let Pieces::One(bytes) = attribute.value else {
        draft.is_joined |= attribute.value.are_joined();
        return draft.push(name, attribute.value(whole, meter)?);
    };
    // Making a value where it stays is much faster than moving one there.
    match AnyValue::read(bytes, meter)? {
        AnyValue::Text(text) => match text::shared(whole, text) {
            Some(text) => draft.push(name, Value::Text(text)),
            None => draft.push(name, Value::Bytes(whole.slice_ref(text))),
        },
        AnyValue::Boolean(boolean) => draft.push(name, Value::Boolean(boolean)),
        AnyValue::Integer(integer) => draft.push(name, Value::Integer(integer)),
        AnyValue::Float(float) => draft.push(name, Value::Float(float)),
        other => {
            let value = other.value(Part { whole, bytes }, meter)?;
            draft.push(name, value.unwrap_or(Draft::NULL))
        }
    }
}

/// The body: a text as it is, anything else as its JSON text.
#[inline(always)]
fn set_body(
    draft: &mut Draft<'_>,
    whole: &Bytes,
    body: Pieces<'_>,
    meter: &mut Meter,
) -> Result<(), Invalid> {
    draft.is_joined |= body.are_joined();
    let read = |part: Part<'_>| match AnyValue::read(part.bytes, meter)? {
        AnyValue::Text(text) => {
            let (body, original) = text::body(part.whole, text, meter).ok_or(Invalid::Stopped)?;
            draft.body = body;
            original.map_or(Ok(()), |original| draft.push(text::ORIGINAL, original))
        }
        other => {
            let value = other.value(part, meter)?;
            value.map_or(Ok(()), |value| draft.set_body(value, meter))
        }
    };
    body.read(whole, read).unwrap_or(Ok(()))
}
