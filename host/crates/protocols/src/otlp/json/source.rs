//! Resources and scopes.

use super::reader::{Reader, Unquoted};
use super::value::{AnyValue, attribute, shared};
use crate::meter::Meter;
use crate::otlp::common::{SCOPE, Source};
use crate::otlp::draft::Draft;
use crate::otlp::invalid::Invalid;
use sluice_types::record::Value;

/// Reads a resource or a scope, whose names have this prefix.
pub(super) fn read(
    prefix: &'static str,
    reader: &mut Reader<'_>,
    meter: &mut Meter,
) -> Result<Source, Invalid> {
    let mut source = Source::new(prefix);
    let (mut name, mut version) = (Unquoted::EMPTY, Unquoted::EMPTY);
    if reader.enter("an object (a resource or a scope)")? {
        while let Some(field) = reader.name()? {
            match field {
                "attributes" => read_attributes(reader, &mut source, meter)?,
                "name" => name = reader.text(meter)?.unwrap_or(Unquoted::EMPTY),
                "version" => version = reader.text(meter)?.unwrap_or(Unquoted::EMPTY),
                _ => drop(reader.skip(meter)?),
            }
        }
    }
    if prefix == SCOPE {
        let [name, version] = [name, version].map(|text| Value::Text(text.shared(reader.whole())));
        source.push_scope(name, version)?;
    }
    Ok(source)
}

fn read_attributes(
    reader: &mut Reader<'_>,
    source: &mut Source,
    meter: &mut Meter,
) -> Result<(), Invalid> {
    if !reader.enter_array("an array (attributes)")? {
        return Ok(());
    }
    let whole = reader.whole();
    let mut value = AnyValue::EMPTY;
    while let Some(name) = attribute(reader, &mut value, meter)? {
        let name = shared(name, whole, meter)?;
        let value = value.take(whole, meter)?;
        let value = value.unwrap_or(Draft::NULL);
        source.push(&name, value, meter)?;
    }
    Ok(())
}
