//! Values, and the attributes that have them.

use super::reader::Reader;
use super::{nested, scalar};
use crate::json::scanner::{Quoted, Scanner};
use crate::meter::Meter;
use crate::otlp::invalid::Invalid;
use sluice_types::record::{Text, Value};

/// What `AnyValue` holds: the last of what is said. Making a [`Value`] of it only
/// where that is kept is faster than moving a [`Value`] there.
#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Nothing,
    Text(Quoted<'a>),
    Integer(i64),
    Float(f64),
    True,
    False,
    /// What is in [`AnyValue::other`].
    Other,
}

/// Reads `AnyValue`.
#[derive(Debug)]
pub(super) struct AnyValue<'a> {
    said: Said<'a>,
    other: Option<Value>,
}

impl<'a> AnyValue<'a> {
    /// An empty one.
    pub(super) const EMPTY: Self = Self {
        said: Said::Nothing,
        other: None,
    };

    /// Reads the value that comes next, in place of a former one.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<(), Invalid> {
        if let Some(said) = reader.attempt(usual_value) {
            self.said = said;
            return Ok(());
        }
        self.said = Said::Nothing;
        if !reader.enter("an object (a value)")? {
            return Ok(());
        }
        while let Some(name) = reader.name()? {
            let said = match name {
                "stringValue" => reader.quoted()?.map(Said::Text),
                "intValue" => scalar::whole(reader)?.map(Said::Integer),
                "doubleValue" => scalar::float(reader)?.map(Said::Float),
                "boolValue" => scalar::boolean(reader)?.map(Said::boolean),
                other => self.read_other(other, reader, meter)?,
            };
            if let Some(said) = said {
                self.said = said;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn read_other(
        &mut self,
        name: &str,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<Option<Said<'a>>, Invalid> {
        let value = match name {
            "arrayValue" => nested::array(reader, meter)?.map(Value::Json),
            "kvlistValue" => nested::list(reader, meter)?.map(Value::Json),
            "bytesValue" => scalar::bytes(reader, meter)?.map(Value::Bytes),
            _ => {
                reader.skip(meter)?;
                None
            }
        };
        Ok(value.map(|value| {
            self.other = Some(value);
            Said::Other
        }))
    }

    /// Gives the value to a function, unless it is empty. Texts share the memory of
    /// the body, or are charged.
    #[inline(always)]
    pub(super) fn take<T>(
        &mut self,
        whole: &Text,
        meter: &mut Meter,
        give: impl FnOnce(Option<Value>, &mut Meter) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        match self.said {
            Said::Nothing => give(None, meter),
            Said::Text(quoted) => {
                let text = quoted.text(whole, meter).map_err(Invalid::Json)?;
                give(Some(Value::Text(text)), meter)
            }
            Said::Integer(integer) => give(Some(Value::Integer(integer)), meter),
            Said::Float(float) => give(Some(Value::Float(float)), meter),
            Said::True => give(Some(Value::Boolean(true)), meter),
            Said::False => give(Some(Value::Boolean(false)), meter),
            Said::Other => give(self.other.take(), meter),
        }
    }
}

impl Said<'_> {
    const fn boolean(boolean: bool) -> Self {
        if boolean { Self::True } else { Self::False }
    }
}

/// Reads attributes, and gives each to a function.
#[inline(always)]
pub(super) fn attributes<'a>(
    reader: &mut Reader<'a>,
    meter: &mut Meter,
    mut push: impl FnMut(Text, Value, &mut Meter) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if !reader.enter_array("an array (attributes)")? {
        return Ok(());
    }
    let whole = reader.whole();
    let mut value = AnyValue::EMPTY;
    while reader.element()? {
        let name = match reader.attempt(usual_attribute) {
            Some((name, said)) => {
                value.said = said;
                Quoted::Plain(name)
            }
            None => attribute(reader, &mut value, meter)?,
        };
        let name = name.text(whole, meter).map_err(Invalid::Json)?;
        value.take(whole, meter, |value, meter| {
            let value = value.unwrap_or(Value::Json(Text::from_static("null")));
            push(name, value, meter)
        })?;
    }
    Ok(())
}

/// Reads the next attribute in any form: its value into `value`, and returns its
/// name.
fn attribute<'a>(
    reader: &mut Reader<'a>,
    value: &mut AnyValue<'a>,
    meter: &mut Meter,
) -> Result<Quoted<'a>, Invalid> {
    let mut name = Quoted::Plain("");
    value.said = Said::Nothing;
    if reader.enter("an object (an attribute)")? {
        while let Some(field) = reader.name()? {
            match field {
                "key" => name = reader.quoted()?.unwrap_or(Quoted::Plain("")),
                "value" => value.read(reader, meter)?,
                _ => drop(reader.skip(meter)?),
            }
        }
    }
    Ok(name)
}

/// An attribute as most clients write most of them. Reading it so takes half as
/// long as name by name.
#[inline(always)]
fn usual_attribute<'a>(scanner: &mut Scanner<'a>) -> Option<(&'a str, Said<'a>)> {
    if !scanner.pass("{\"key\":\"") {
        return None;
    }
    let name = scanner.plain_rest()?;
    if !scanner.pass(",\"value\":") {
        return None;
    }
    let said = usual_value(scanner)?;
    scanner.pass("}").then_some((name, said))
}

/// A value as most clients write most of them.
#[inline(always)]
fn usual_value<'a>(scanner: &mut Scanner<'a>) -> Option<Said<'a>> {
    let said = if scanner.pass("{\"stringValue\":\"") {
        Said::Text(Quoted::Plain(scanner.plain_rest()?))
    } else if scanner.pass("{\"intValue\":") {
        Said::Integer(scalar::whole_of(scanner.value().ok()?)?)
    } else if scanner.pass("{\"boolValue\":true") {
        Said::True
    } else if scanner.pass("{\"boolValue\":false") {
        Said::False
    } else {
        return None;
    };
    scanner.pass("}").then_some(said)
}
