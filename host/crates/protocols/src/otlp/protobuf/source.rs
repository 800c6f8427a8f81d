//! Resources and scopes.

use super::pieces::Part;
use super::value::KeyValue;
use crate::meter::Meter;
use crate::otlp::common::{RESOURCE, SCOPE, Source};
use crate::otlp::invalid::Invalid;
use crate::otlp::wire::Fields;
use crate::text;

/// Reads a resource.
pub(super) fn resource(part: Part<'_>, meter: &mut Meter) -> Result<Source, Invalid> {
    let mut resource = Source::new(RESOURCE);
    let mut fields = Fields(part.bytes);
    while let Some(tag) = fields.tag()? {
        match tag.number() {
            1 => {
                let attribute = fields.bytes(tag, "attributes")?;
                push(&mut resource, part.part(attribute), meter)?;
            }
            _ => fields.skip(tag)?,
        }
    }
    Ok(resource)
}

/// Reads a scope.
pub(super) fn scope(part: Part<'_>, meter: &mut Meter) -> Result<Source, Invalid> {
    let mut scope = Source::new(SCOPE);
    let (mut name, mut version) = (&b""[..], &b""[..]);
    let mut fields = Fields(part.bytes);
    while let Some(tag) = fields.tag()? {
        match tag.number() {
            1 => name = fields.bytes(tag, "name")?,
            2 => version = fields.bytes(tag, "version")?,
            3 => {
                let attribute = fields.bytes(tag, "attributes")?;
                push(&mut scope, part.part(attribute), meter)?;
            }
            _ => fields.skip(tag)?,
        }
    }
    let [name, version] = [name, version].map(|bytes| text::value(part.whole, bytes));
    scope.push_scope(name, version)?;
    Ok(scope)
}

fn push(source: &mut Source, attribute: Part<'_>, meter: &mut Meter) -> Result<(), Invalid> {
    let pair = KeyValue::read(attribute.bytes, meter)?;
    let name = pair.name(attribute.whole, meter)?;
    let value = pair.value(attribute.whole, meter)?;
    source.push(&name, value, meter)
}
