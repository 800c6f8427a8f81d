//! Resources and scopes.

use super::reader::{Reader, Unquoted};
use super::value::attributes;
use crate::meter::Meter;
use crate::otlp::common::{SCOPE, Source};
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
                "attributes" => attributes(reader, meter, |name, value, meter| {
                    source.push(&name, value, meter)
                })?,
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
