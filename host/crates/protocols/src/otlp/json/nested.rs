//! Arrays and lists, as JSON text in the form that records keep.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::names::{PairName, ValueName};
use super::scalar;
use super::visit::{Array, Elements, Fields, Object};
use crate::json::share::Share;
use crate::otlp::invalid::{DEPTH_MAX, Invalid};
use crate::otlp::json_text::JsonText;
use sluice_types::record::Text;

/// After so many levels, a new deserializer begins: one alone does not go as deep
/// as values may be nested.
const LEVELS_AT_ONCE: usize = 16;

/// An array or a list as JSON text, which is charged; `None` if it is null.
pub(super) fn text(
    name: ValueName,
    raw: &RawValue,
    share: &mut Share<'_>,
) -> Result<Option<Text>, Invalid> {
    let mut writer = Writer {
        whole: share.whole,
        json: JsonText::new(share.meter),
        invalid: None,
    };
    NestedValue::new(&mut writer, 1).read_values(name, raw)?;
    let json = writer.json;
    Ok((json.len() > 0).then(|| json.finish()))
}

struct Writer<'a> {
    whole: &'a Text,
    json: JsonText<'a>,
    /// What is wrong, on its way through deserializers that would add to it.
    invalid: Option<Invalid>,
}

impl Writer<'_> {
    /// Writes a value that is neither null nor an array or a list.
    fn write(&mut self, name: ValueName, raw: &RawValue) -> Result<(), Invalid> {
        match name {
            ValueName::StringValue => self.write_text(raw),
            ValueName::BoolValue => self.json.value(scalar::boolean(raw)?),
            ValueName::IntValue => self.json.value(scalar::whole::<i64>(raw)?),
            ValueName::DoubleValue => self.json.float(scalar::float(raw)?.unwrap_or_default()),
            ValueName::BytesValue => {
                let bytes = scalar::bytes(raw, &mut self.share())?;
                self.json.bytes(&bytes.unwrap_or_default())
            }
            ValueName::ArrayValue | ValueName::KvlistValue | ValueName::Other => Ok(()),
        }
    }

    fn write_text(&mut self, raw: &RawValue) -> Result<(), Invalid> {
        let text = scalar::text(raw, &mut self.share())?;
        self.json.value(&*text.unwrap_or_default())
    }

    fn share(&mut self) -> Share<'_> {
        Share {
            whole: self.whole,
            meter: self.json.meter(),
        }
    }

    fn fail<E: Error>(&mut self, invalid: Invalid) -> E {
        self.invalid = Some(invalid);
        E::custom("not a value")
    }

    /// Why a deserializer failed.
    fn invalid(&mut self, error: &serde_json::Error) -> Invalid {
        let invalid = self.invalid.take();
        invalid.unwrap_or_else(|| Invalid::Json(error.to_string()))
    }
}

/// Writes `AnyValue`.
struct NestedValue<'w, 'a> {
    writer: &'w mut Writer<'a>,
    /// The length of the text before the value.
    start: usize,
    depth: usize,
}

impl<'w, 'a> NestedValue<'w, 'a> {
    fn new(writer: &'w mut Writer<'a>, depth: usize) -> Self {
        Self {
            start: writer.json.len(),
            writer,
            depth,
        }
    }

    /// An empty value is null.
    fn finish(&mut self) -> Result<(), Invalid> {
        match self.writer.json.len() > self.start {
            true => Ok(()),
            false => self.writer.json.raw("null"),
        }
    }

    /// Writes an array or a list.
    fn read_values(&mut self, name: ValueName, raw: &RawValue) -> Result<(), Invalid> {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        match Object(Values::new(self, name)).deserialize(&mut deserializer) {
            Ok(values) => values.close(),
            Err(error) => Err(self.writer.invalid(&error)),
        }
    }
}

impl<'de> Fields<'de> for NestedValue<'_, '_> {
    type Name = ValueName;
    const WHAT: &'static str = "a value";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: ValueName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        let are_values = matches!(name, ValueName::ArrayValue | ValueName::KvlistValue);
        let written = if are_values && !self.depth.is_multiple_of(LEVELS_AT_ONCE) {
            let read = values.next_value_seed(Object(Values::new(self, name)))?;
            read.close()
        } else {
            let raw: &RawValue = values.next_value()?;
            match name {
                ValueName::Other => Ok(()),
                _ if scalar::is_null(raw) => Ok(()),
                _ if are_values => self.read_values(name, raw),
                scalar => {
                    // The last value counts.
                    self.writer.json.truncate(self.start);
                    self.writer.write(scalar, raw)
                }
            }
        };
        written.map_err(|invalid| self.writer.fail(invalid))
    }
}

/// Writes `ArrayValue` or `KeyValueList`, and each element of it.
struct Values<'v, 'w, 'a> {
    value: &'v mut NestedValue<'w, 'a>,
    are_pairs: bool,
    /// The length of the text before the first element; `None` if it is null.
    start: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ValuesName {
    Values,
    #[serde(other)]
    Other,
}

impl<'v, 'w, 'a> Values<'v, 'w, 'a> {
    const fn new(value: &'v mut NestedValue<'w, 'a>, name: ValueName) -> Self {
        Self {
            value,
            are_pairs: matches!(name, ValueName::KvlistValue),
            start: None,
        }
    }

    fn close(self) -> Result<(), Invalid> {
        let close = if self.are_pairs { "}" } else { "]" };
        match self.start {
            Some(_) => self.value.writer.json.raw(close),
            None => Ok(()),
        }
    }
}

impl<'de> Fields<'de> for Values<'_, '_, '_> {
    type Name = ValuesName;
    const WHAT: &'static str = "an array or a list";

    fn open(&mut self) -> Result<(), Invalid> {
        let writer = &mut self.value.writer;
        if self.value.depth >= DEPTH_MAX {
            writer.invalid = Some(Invalid::TooDeep);
            return Err(Invalid::TooDeep);
        }
        // The last value counts.
        writer.json.truncate(self.value.start);
        writer.json.raw(if self.are_pairs { "{" } else { "[" })?;
        self.start = Some(writer.json.len());
        Ok(())
    }

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: ValuesName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            ValuesName::Values => drop(values.next_value_seed(Array(self))?),
            ValuesName::Other => drop(values.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Elements<'de> for Values<'_, '_, '_> {
    const WHAT: &'static str = "values";

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        let element = Element {
            writer: &mut *self.value.writer,
            start: self.start.unwrap_or_default(),
            is_pair: self.are_pairs,
            depth: self.value.depth + 1,
        };
        Ok(elements.next_element_seed(element)?.is_some())
    }
}

struct Element<'w, 'a> {
    writer: &'w mut Writer<'a>,
    /// The length of the text before the first element.
    start: usize,
    is_pair: bool,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let separated = self.writer.json.separate(self.start);
        separated.map_err(D::Error::custom)?;
        let value = NestedValue::new(self.writer, self.depth);
        let finished = if self.is_pair {
            let pair = Pair {
                start: value.start,
                value,
                is_named: false,
            };
            Object(pair).deserialize(deserializer)?.finish()
        } else {
            Object(value).deserialize(deserializer)?.finish()
        };
        finished.map_err(D::Error::custom)
    }
}

/// Writes `KeyValue`.
struct Pair<'w, 'a> {
    value: NestedValue<'w, 'a>,
    /// The length of the text before the name.
    start: usize,
    is_named: bool,
}

impl<'de> Fields<'de> for Pair<'_, '_> {
    type Name = PairName;
    const WHAT: &'static str = "a pair of a key and a value";

    fn field<A: MapAccess<'de>>(&mut self, name: PairName, values: &mut A) -> Result<(), A::Error> {
        match name {
            PairName::Key if self.is_named => return Err(A::Error::duplicate_field("key")),
            PairName::Key => {
                let named = self.write_name(Some(values.next_value()?));
                named.map_err(|invalid| self.value.writer.fail::<A::Error>(invalid))?;
            }
            PairName::Value => drop(values.next_value_seed(Object(&mut self.value))?),
            PairName::Other => drop(values.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Pair<'_, '_> {
    /// Writes the name, and moves it before the value if that came first.
    fn write_name(&mut self, name: Option<&RawValue>) -> Result<(), Invalid> {
        let writer = &mut self.value.writer;
        let value_end = writer.json.len();
        match name {
            Some(name) => writer.write_text(name)?,
            None => writer.json.raw("\"\"")?,
        }
        writer.json.raw(":")?;
        let length = writer.json.len() - value_end;
        writer.json.move_end(self.start, value_end);
        self.value.start = self.start + length;
        self.is_named = true;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Invalid> {
        if !self.is_named {
            self.write_name(None)?;
        }
        self.value.finish()
    }
}
