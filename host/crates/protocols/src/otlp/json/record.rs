//! Decodes records.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::scalar;
use super::value::{AnyValue, Attributes};
use super::visit::{Array, Fields, Object};
use crate::json::share::Share;
use crate::meter::Meter;
use crate::otlp::common::Common;
use crate::otlp::draft::Draft;
use crate::otlp::invalid::Invalid;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Text, Value};

/// Reads one record after the other.
#[derive(Debug)]
pub(super) struct RecordReader<'a> {
    whole: &'a Text,
    observed: u64,
    /// The attributes of the record that is being read, in memory that is used
    /// again for the next one.
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RecordName {
    TimeUnixNano,
    ObservedTimeUnixNano,
    SeverityNumber,
    SeverityText,
    Body,
    Attributes,
    Flags,
    TraceId,
    SpanId,
    EventName,
    #[serde(other)]
    Other,
}

struct Record<'s, 'a, 'd> {
    share: &'s mut Share<'a>,
    draft: Draft<'d>,
    severity: i64,
    severity_text: Text,
    event_name: Text,
}

impl<'a> RecordReader<'a> {
    /// For records of this body that were observed at this time.
    pub(super) const fn new(whole: &'a Text, observed: u64) -> Self {
        Self {
            whole,
            observed,
            attributes: Vec::new(),
        }
    }

    /// Reads a record, which is a part of the body.
    pub(super) fn read(
        &mut self,
        raw: &RawValue,
        common: &Common,
        meter: &mut Meter,
    ) -> Result<LogRecord, Invalid> {
        if !raw.get().starts_with('{') {
            return Err(not_a_record(&"it is not an object"));
        }
        let whole = self.whole;
        let mut share = Share { whole, meter };
        let record = Record {
            share: &mut share,
            draft: Draft::new(&mut self.attributes, common),
            severity: 0,
            severity_text: Text::new(),
            event_name: Text::new(),
        };
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let read = Object(record).deserialize(&mut deserializer);
        let read = read.map_err(|error| not_a_record(&error))?;
        let mut draft = read.draft;
        if !read.event_name.is_empty() {
            draft.push_event_name(Value::Text(read.event_name))?;
        }
        let text = read.severity_text;
        draft.set_severity(read.severity, text.as_bytes(), || Value::Text(text.clone()))?;
        draft.finish(common, self.observed, share.meter)
    }
}

fn not_a_record(reason: &dyn fmt::Display) -> Invalid {
    Invalid::Json(format!("not a record in JSON: {reason}"))
}

impl<'de> Fields<'de> for Record<'_, '_, '_> {
    type Name = RecordName;
    const WHAT: &'static str = "a record";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: RecordName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            RecordName::Attributes => {
                let draft = &mut self.draft;
                let attributes = Attributes {
                    share: &mut *self.share,
                    push: |name, value, _: &mut _| draft.push(name, value),
                };
                values.next_value_seed(Array(attributes))?;
                Ok(())
            }
            RecordName::Body => {
                let body = values.next_value_seed(Object(AnyValue::new(self.share)))?;
                let value = body.value.unwrap_or(Value::Text(Text::new()));
                let set = self.draft.set_body(value, self.share.meter);
                set.map_err(A::Error::custom)
            }
            RecordName::Other => values.next_value().map(|IgnoredAny| ()),
            scalar => {
                let read = self.read_scalar(scalar, values.next_value()?);
                read.map_err(A::Error::custom)
            }
        }
    }
}

impl Record<'_, '_, '_> {
    fn read_scalar(&mut self, name: RecordName, raw: &RawValue) -> Result<(), Invalid> {
        let draft = &mut self.draft;
        match name {
            RecordName::TimeUnixNano => draft.time = scalar::whole(raw)?.unwrap_or(0),
            RecordName::ObservedTimeUnixNano => {
                draft.observed_time = scalar::whole(raw)?.unwrap_or(0);
            }
            RecordName::SeverityNumber => {
                self.severity = scalar::severity_number(raw)?.unwrap_or(0);
            }
            RecordName::SeverityText => {
                self.severity_text = scalar::text(raw, self.share)?.unwrap_or_default();
            }
            RecordName::Flags => draft.flags = scalar::whole(raw)?.unwrap_or(0),
            RecordName::TraceId => draft.trace_id = scalar::id(raw)?,
            RecordName::SpanId => draft.span_id = scalar::id(raw)?,
            RecordName::EventName => {
                self.event_name = scalar::text(raw, self.share)?.unwrap_or_default();
            }
            RecordName::Body | RecordName::Attributes | RecordName::Other => {}
        }
        Ok(())
    }
}
