//! Values, and the attributes that have them.

use super::reader::{Reader, Unquoted};
use super::{nested, scalar};
use crate::meter::Meter;
use crate::otlp::invalid::Invalid;
use sluice_types::record::{Text, Value};

/// Reads `AnyValue`: the last of what is said; `None` if it is empty. Texts share
/// the memory of the body, or are charged.
#[inline]
pub(super) fn any_value(
    reader: &mut Reader<'_>,
    meter: &mut Meter,
) -> Result<Option<Value>, Invalid> {
    let mut value = None;
    if reader.enter("an object (a value)")? {
        while let Some(name) = reader.name()? {
            let read = match name {
                "stringValue" => {
                    let text = reader.text(meter)?;
                    text.map(|text| Value::Text(text.shared(reader.whole())))
                }
                "arrayValue" => nested::array(reader, meter)?.map(Value::Json),
                "kvlistValue" => nested::list(reader, meter)?.map(Value::Json),
                other => scalar_value(other, reader, meter)?,
            };
            if read.is_some() {
                value = read;
            }
        }
    }
    Ok(value)
}

/// Reads what a value has by this name. It is no text, array or list.
#[inline(always)]
pub(super) fn scalar_value(
    name: &str,
    reader: &mut Reader<'_>,
    meter: &mut Meter,
) -> Result<Option<Value>, Invalid> {
    match name {
        "boolValue" => Ok(scalar::boolean(reader)?.map(Value::Boolean)),
        "intValue" => Ok(scalar::whole(reader)?.map(Value::Integer)),
        "doubleValue" => Ok(scalar::float(reader)?.map(Value::Float)),
        "bytesValue" => Ok(scalar::bytes(reader, meter)?.map(Value::Bytes)),
        _ => reader.skip(meter).map(|_| None),
    }
}

/// Reads attributes, and gives each to a function.
#[inline(always)]
pub(super) fn attributes<'a>(
    reader: &mut Reader<'a>,
    meter: &mut Meter,
    mut push: impl FnMut(Unquoted<'a>, Value, &mut Meter) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if !reader.enter_array("an array (attributes)")? {
        return Ok(());
    }
    while reader.element()? {
        let (mut name, mut value) = (Unquoted::EMPTY, None);
        if reader.enter("an object (an attribute)")? {
            while let Some(field) = reader.name()? {
                match field {
                    "key" => name = reader.text(meter)?.unwrap_or(Unquoted::EMPTY),
                    "value" => value = any_value(reader, meter)?,
                    _ => drop(reader.skip(meter)?),
                }
            }
        }
        let value = value.unwrap_or(Value::Json(Text::from_static("null")));
        push(name, value, meter)?;
    }
    Ok(())
}
