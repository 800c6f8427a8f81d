//! Decodes records.

use super::reader::{Reader, Unquoted};
use super::scalar;
use super::value::{AnyValue, Said, attribute, shared};
use crate::json::scanner::Quoted;
use crate::meter::Meter;
use crate::otlp::common::Common;
use crate::otlp::draft::Draft;
use crate::otlp::invalid::Invalid;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Text, Value};

/// Reads one record after the other.
#[derive(Debug)]
pub(super) struct RecordReader {
    observed: u64,
    /// The attributes of the record that is being read, in memory that is used
    /// again for the next one.
    attributes: Vec<Attribute>,
}

/// What is not in the draft before all is read.
struct Later<'a> {
    severity: i64,
    severity_text: Unquoted<'a>,
    event_name: Unquoted<'a>,
}

impl RecordReader {
    /// For records that were observed at this time.
    pub(super) const fn new(observed: u64) -> Self {
        Self {
            observed,
            attributes: Vec::new(),
        }
    }

    /// Reads the record that comes next. If it is none, `reader` may be anywhere in
    /// it.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        common: &Common,
        meter: &mut Meter,
    ) -> Result<LogRecord, Invalid> {
        let mut draft = Draft::new(&mut self.attributes, common);
        let later = read_fields(reader, &mut draft, meter).map_err(not_a_record)?;
        let whole = reader.whole();
        if !later.event_name.is_empty() {
            draft.push_event_name(Value::Text(later.event_name.shared(whole)))?;
        }
        let text = later.severity_text;
        draft.set_severity(later.severity, text.as_bytes(), || {
            Value::Text(text.shared(whole))
        })?;
        draft.finish(common, self.observed, meter)
    }
}

#[cold]
fn not_a_record(invalid: Invalid) -> Invalid {
    match invalid {
        Invalid::Json(reason) => Invalid::Json(format!("not a record in JSON: {reason}")),
        other => other,
    }
}

fn read_fields<'a>(
    reader: &mut Reader<'a>,
    draft: &mut Draft<'_>,
    meter: &mut Meter,
) -> Result<Later<'a>, Invalid> {
    let mut later = Later {
        severity: 0,
        severity_text: Unquoted::EMPTY,
        event_name: Unquoted::EMPTY,
    };
    if !reader.is_at_object() {
        return Err(Invalid::Json("it is not an object".to_owned()));
    }
    reader.enter("an object (a record)")?;
    while let Some(name) = reader.name()? {
        match name {
            "timeUnixNano" => draft.time = scalar::whole(reader)?.unwrap_or(0),
            "observedTimeUnixNano" => draft.observed_time = scalar::whole(reader)?.unwrap_or(0),
            "severityNumber" => later.severity = scalar::severity_number(reader)?,
            "severityText" => {
                later.severity_text = reader.text(meter)?.unwrap_or(Unquoted::EMPTY);
            }
            "body" => {
                let mut body = AnyValue::EMPTY;
                body.read(reader, meter)?;
                set_body(draft, body, reader.whole(), meter)?;
            }
            "attributes" => read_attributes(reader, draft, meter)?,
            "flags" => draft.flags = scalar::whole(reader)?.unwrap_or(0),
            "traceId" => draft.trace_id = scalar::id(reader)?,
            "spanId" => draft.span_id = scalar::id(reader)?,
            "eventName" => later.event_name = reader.text(meter)?.unwrap_or(Unquoted::EMPTY),
            _ => drop(reader.skip(meter)?),
        }
    }
    Ok(later)
}

#[inline(always)]
fn set_body(
    draft: &mut Draft<'_>,
    mut body: AnyValue<'_>,
    whole: &Text,
    meter: &mut Meter,
) -> Result<(), Invalid> {
    match body.said {
        Said::Nothing => draft.body = Text::new(),
        Said::Text(quoted) => draft.body = shared(quoted, whole, meter)?,
        _ => {
            if let Some(value) = body.take(whole, meter)? {
                draft.set_body(value, meter)?;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn read_attributes(
    reader: &mut Reader<'_>,
    draft: &mut Draft<'_>,
    meter: &mut Meter,
) -> Result<(), Invalid> {
    if !reader.enter_array("an array (attributes)")? {
        return Ok(());
    }
    let whole = reader.whole();
    let mut value = AnyValue::EMPTY;
    while let Some(name) = attribute(reader, &mut value, meter)? {
        let name = shared(name, whole, meter)?;
        match value.said {
            Said::Text(Quoted::Plain(plain)) => {
                draft.push(name, Value::Text(whole.slice_ref(plain)))?;
            }
            Said::Integer(integer) => draft.push(name, Value::Integer(integer))?,
            Said::True => draft.push(name, Value::Boolean(true))?,
            Said::False => draft.push(name, Value::Boolean(false))?,
            _ => {
                let value = value.take(whole, meter)?;
                draft.push(name, value.unwrap_or(Draft::NULL))?;
            }
        }
    }
    Ok(())
}
