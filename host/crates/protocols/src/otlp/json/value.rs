//! Values, and the attributes that have them.

use super::reader::Reader;
use super::{nested, scalar};
use crate::json::scanner::{Quoted, Scanner};
use crate::meter::Meter;
use crate::otlp::invalid::Invalid;
use sluice_types::record::{Text, Value};

/// What `AnyValue` says, as long as it is not kept. Making a [`Value`] of it only
/// in the place where it stays is much faster than moving one there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    Nothing,
    Text(Quoted<'a>),
    Integer(i64),
    Float(f64),
    True,
    False,
    /// What is in [`AnyValue::other`].
    Other,
}

/// Reads `AnyValue`: the last of what is said.
#[derive(Debug)]
pub(super) struct AnyValue<'a> {
    pub(super) said: Said<'a>,
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

    /// The value; `None` if it is empty. A text shares the memory of the body, or is
    /// charged.
    pub(super) fn take(
        &mut self,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<Option<Value>, Invalid> {
        Ok(Some(match self.said {
            Said::Nothing => return Ok(None),
            Said::Text(quoted) => Value::Text(shared(quoted, whole, meter)?),
            Said::Integer(integer) => Value::Integer(integer),
            Said::Float(float) => Value::Float(float),
            Said::True => Value::Boolean(true),
            Said::False => Value::Boolean(false),
            Said::Other => return Ok(self.other.take()),
        }))
    }
}

impl Said<'_> {
    const fn boolean(boolean: bool) -> Self {
        if boolean { Self::True } else { Self::False }
    }
}

/// A text, which shares the memory of the body, or is charged.
#[inline(always)]
pub(super) fn shared(quoted: Quoted<'_>, whole: &Text, meter: &mut Meter) -> Result<Text, Invalid> {
    match quoted {
        Quoted::Plain(plain) => Ok(whole.slice_ref(plain)),
        escaped => escaped.text(whole, meter).map_err(Invalid::Json),
    }
}

/// Reads the next attribute of an array that was entered: its value into `value`,
/// and returns its name; `None` at the end of the array.
#[inline(always)]
pub(super) fn attribute<'a>(
    reader: &mut Reader<'a>,
    value: &mut AnyValue<'a>,
    meter: &mut Meter,
) -> Result<Option<Quoted<'a>>, Invalid> {
    if !reader.element()? {
        return Ok(None);
    }
    match reader.attempt(usual_attribute) {
        Some((name, said)) => {
            value.said = said;
            Ok(Some(Quoted::Plain(name)))
        }
        None => any_attribute(reader, value, meter).map(Some),
    }
}

/// The same of one in any form.
fn any_attribute<'a>(
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
