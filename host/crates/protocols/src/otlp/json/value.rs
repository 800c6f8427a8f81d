//! Values, and the attributes that have them.

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::names::{PairName, ValueName};
use super::visit::{Elements, Fields, Object};
use super::{nested, scalar};
use crate::json::share::Share;
use crate::meter::Meter;
use crate::otlp::invalid::Invalid;
use sluice_types::record::{Text, Value};

/// Reads `AnyValue`: the last of what is said.
pub(super) struct AnyValue<'s, 'a> {
    share: &'s mut Share<'a>,
    /// `None` if it is empty.
    pub(super) value: Option<Value>,
}

impl<'s, 'a> AnyValue<'s, 'a> {
    pub(super) const fn new(share: &'s mut Share<'a>) -> Self {
        let value = None;
        Self { share, value }
    }

    fn read(&mut self, name: ValueName, raw: &RawValue) -> Result<Option<Value>, Invalid> {
        Ok(match name {
            ValueName::StringValue => scalar::text(raw, self.share)?.map(Value::Text),
            ValueName::BoolValue => scalar::boolean(raw)?.map(Value::Boolean),
            ValueName::IntValue => scalar::whole(raw)?.map(Value::Integer),
            ValueName::DoubleValue => scalar::float(raw)?.map(Value::Float),
            ValueName::BytesValue => scalar::bytes(raw, self.share)?.map(Value::Bytes),
            ValueName::ArrayValue | ValueName::KvlistValue => {
                nested::text(name, raw, self.share)?.map(Value::Json)
            }
            ValueName::Other => None,
        })
    }
}

impl<'de> Fields<'de> for AnyValue<'_, '_> {
    type Name = ValueName;
    const WHAT: &'static str = "a value";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: ValueName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        let raw: &RawValue = values.next_value()?;
        if let Some(value) = self.read(name, raw).map_err(A::Error::custom)? {
            self.value = Some(value);
        }
        Ok(())
    }
}

/// Reads attributes, and gives each to a function.
pub(super) struct Attributes<'s, 'a, F> {
    pub(super) share: &'s mut Share<'a>,
    pub(super) push: F,
}

impl<'de, F> Elements<'de> for Attributes<'_, '_, F>
where
    F: FnMut(Text, Value, &mut Meter) -> Result<(), Invalid>,
{
    const WHAT: &'static str = "attributes";

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        let attribute = Attribute {
            share: &mut *self.share,
            name: Text::new(),
            value: None,
        };
        let Some(read) = elements.next_element_seed(Object(attribute))? else {
            return Ok(false);
        };
        let (name, value) = (read.name, read.value);
        let value = value.unwrap_or(Value::Json(Text::from_static("null")));
        let pushed = (self.push)(name, value, self.share.meter);
        pushed.map_err(A::Error::custom)?;
        Ok(true)
    }
}

struct Attribute<'s, 'a> {
    share: &'s mut Share<'a>,
    name: Text,
    value: Option<Value>,
}

impl<'de> Fields<'de> for Attribute<'_, '_> {
    type Name = PairName;
    const WHAT: &'static str = "an attribute";

    fn field<A: MapAccess<'de>>(&mut self, name: PairName, values: &mut A) -> Result<(), A::Error> {
        match name {
            PairName::Key => {
                let key = scalar::text(values.next_value()?, self.share);
                self.name = key.map_err(A::Error::custom)?.unwrap_or_default();
            }
            PairName::Value => {
                let value = Object(AnyValue::new(self.share));
                self.value = values.next_value_seed(value)?.value;
            }
            PairName::Other => drop(values.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
