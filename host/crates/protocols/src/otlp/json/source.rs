//! Resources and scopes.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::scalar;
use super::value::Attributes;
use super::visit::{Array, Fields, Object};
use crate::json::share::Share;
use crate::otlp::common::{SCOPE, Source};
use crate::otlp::invalid::Invalid;
use sluice_types::record::{Text, Value};

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum SourceName {
    Attributes,
    Name,
    Version,
    #[serde(other)]
    Other,
}

struct Reader<'s, 'a> {
    share: &'s mut Share<'a>,
    source: Source,
    name: Text,
    version: Text,
}

/// Reads a resource or a scope, whose names have this prefix.
pub(super) fn read(
    prefix: &'static str,
    raw: &RawValue,
    share: &mut Share<'_>,
) -> Result<Source, Invalid> {
    let reader = Reader {
        share,
        source: Source::new(prefix),
        name: Text::new(),
        version: Text::new(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let read = Object(reader).deserialize(&mut deserializer);
    let mut read = read.map_err(|error| Invalid::Json(error.to_string()))?;
    if prefix == SCOPE {
        let [name, version] = [read.name, read.version].map(Value::Text);
        read.source.push_scope(name, version)?;
    }
    Ok(read.source)
}

impl<'de> Fields<'de> for Reader<'_, '_> {
    type Name = SourceName;
    const WHAT: &'static str = "a resource or a scope";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: SourceName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        let text = match name {
            SourceName::Name => &mut self.name,
            SourceName::Version => &mut self.version,
            SourceName::Attributes => {
                let source = &mut self.source;
                let attributes = Attributes {
                    share: &mut *self.share,
                    push: |name: Text, value, meter: &mut _| source.push(&name, value, meter),
                };
                values.next_value_seed(Array(attributes))?;
                return Ok(());
            }
            SourceName::Other => return values.next_value().map(|IgnoredAny| ()),
        };
        let read = scalar::text(values.next_value()?, self.share);
        *text = read.map_err(A::Error::custom)?.unwrap_or_default();
        Ok(())
    }
}
