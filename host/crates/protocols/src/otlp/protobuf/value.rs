//! Values, and pairs of a name and a value.

use std::borrow::Cow;

use bytes::Bytes;

use super::pieces::{Part, Pieces};
use crate::meter::Meter;
use crate::otlp::invalid::{DEPTH_MAX, Invalid, charge};
use crate::otlp::json_text::JsonText;
use crate::otlp::wire::Fields;
use crate::text;
use sluice_types::record::{Text, Value};

/// What `AnyValue` holds: the last of what is said.
#[derive(Debug)]
pub(super) enum AnyValue<'a> {
    /// Nothing, or the index of a text that logs do not have.
    Empty,
    Text(&'a [u8]),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Array(Pieces<'a>),
    List(Pieces<'a>),
    Bytes(&'a [u8]),
}

/// A name and its value, as in attributes and lists.
#[derive(Debug, Default)]
pub(super) struct KeyValue<'a> {
    key: &'a [u8],
    pub(super) value: Pieces<'a>,
}

impl<'a> KeyValue<'a> {
    #[inline(always)]
    pub(super) fn read(bytes: &'a [u8], meter: &mut Meter) -> Result<Self, Invalid> {
        let mut read = Self::default();
        let mut fields = Fields(bytes);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => read.key = fields.bytes(tag, "key")?,
                2 => read.value.push(fields.bytes(tag, "value")?, meter)?,
                _ => fields.skip(tag)?,
            }
        }
        Ok(read)
    }

    /// The name of an attribute. If it is not UTF-8, wrong bytes are replaced.
    #[inline(always)]
    pub(super) fn name(&self, whole: &Bytes, meter: &mut Meter) -> Result<Text, Invalid> {
        match text::shared(whole, self.key) {
            Some(name) => Ok(name),
            None => Ok(lossy(self.key, meter)?.into_owned().into()),
        }
    }

    /// Gives the value of an attribute to a function; null if there is none. Texts
    /// share the memory of `whole`, or that of what it was joined in.
    #[inline(always)]
    pub(super) fn value<T>(
        self,
        whole: &Bytes,
        meter: &mut Meter,
        give: impl FnOnce(Value, &mut Meter) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        let null = Value::Json(Text::from_static("null"));
        match self.value {
            Pieces::None => give(null, meter),
            Pieces::One(bytes) => {
                let read = AnyValue::read(bytes, meter)?;
                read.value(Part { whole, bytes }, meter, |value, meter| {
                    give(value.unwrap_or(null), meter)
                })
            }
            joined @ Pieces::Joined(_) => {
                let value = joined_value(joined, whole, meter)?;
                give(value.unwrap_or(null), meter)
            }
        }
    }
}

#[cold]
fn joined_value(
    pieces: Pieces<'_>,
    whole: &Bytes,
    meter: &mut Meter,
) -> Result<Option<Value>, Invalid> {
    let read = |part: Part<'_>| {
        AnyValue::read(part.bytes, meter)?.value(part, meter, |value, _| Ok(value))
    };
    pieces.read(whole, read).unwrap_or(Ok(None))
}

impl<'a> AnyValue<'a> {
    #[inline(always)]
    pub(super) fn read(bytes: &'a [u8], meter: &mut Meter) -> Result<Self, Invalid> {
        let mut read = Self::Empty;
        let mut fields = Fields(bytes);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => read = Self::Text(fields.bytes(tag, "string_value")?),
                2 => read = Self::Boolean(fields.varint(tag, "bool_value")? != 0),
                3 => read = Self::Integer(fields.varint(tag, "int_value")?.cast_signed()),
                4 => read = Self::Float(f64::from_bits(fields.fixed64(tag, "double_value")?)),
                5 => {
                    let piece = fields.bytes(tag, "array_value")?;
                    match &mut read {
                        Self::Array(pieces) => pieces.push(piece, meter)?,
                        _ => read = Self::Array(Pieces::One(piece)),
                    }
                }
                6 => {
                    let piece = fields.bytes(tag, "kvlist_value")?;
                    match &mut read {
                        Self::List(pieces) => pieces.push(piece, meter)?,
                        _ => read = Self::List(Pieces::One(piece)),
                    }
                }
                7 => read = Self::Bytes(fields.bytes(tag, "bytes_value")?),
                8 => {
                    fields.varint(tag, "string_value_strindex")?;
                    read = Self::Empty;
                }
                _ => fields.skip(tag)?,
            }
        }
        Ok(read)
    }

    /// Gives the value, as a record keeps it, to a function; `None` if it is empty.
    /// It is in `part`.
    #[inline(always)]
    pub(super) fn value<T>(
        self,
        part: Part<'_>,
        meter: &mut Meter,
        give: impl FnOnce(Option<Value>, &mut Meter) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        match self {
            Self::Empty => give(None, meter),
            Self::Text(text) => match text::shared(part.whole, text) {
                Some(text) => give(Some(Value::Text(text)), meter),
                None => give(Some(Value::Bytes(part.whole.slice_ref(text))), meter),
            },
            Self::Boolean(boolean) => give(Some(Value::Boolean(boolean)), meter),
            Self::Integer(integer) => give(Some(Value::Integer(integer)), meter),
            Self::Float(float) => give(Some(Value::Float(float)), meter),
            Self::Bytes(bytes) => give(Some(Value::Bytes(part.whole.slice_ref(bytes))), meter),
            Self::Array(_) | Self::List(_) => {
                let mut json = JsonText::new(meter);
                self.write(&mut json, 1)?;
                let json = json.finish();
                give(Some(Value::Json(json)), meter)
            }
        }
    }

    /// Writes the value as JSON text. It is on this level.
    fn write(&self, json: &mut JsonText<'_>, depth: usize) -> Result<(), Invalid> {
        match self {
            Self::Empty => json.raw("null"),
            Self::Text(text) => write_text(text, json),
            Self::Boolean(boolean) => json.value(boolean),
            Self::Integer(integer) => json.value(integer),
            Self::Float(float) => json.float(*float),
            Self::Bytes(bytes) => json.bytes(bytes),
            Self::Array(_) | Self::List(_) if depth >= DEPTH_MAX => Err(Invalid::TooDeep),
            Self::Array(pieces) => {
                json.raw("[")?;
                write_each(pieces, json, |element, json| {
                    AnyValue::read(element, json.meter())?.write(json, depth + 1)
                })?;
                json.raw("]")
            }
            Self::List(pieces) => {
                json.raw("{")?;
                write_each(pieces, json, |pair, json| write_pair(pair, json, depth + 1))?;
                json.raw("}")
            }
        }
    }
}

/// Writes the elements of an array or a list, which are its field 1.
fn write_each(
    pieces: &Pieces<'_>,
    json: &mut JsonText<'_>,
    mut write: impl FnMut(&[u8], &mut JsonText<'_>) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let start = json.len();
    let mut fields = Fields(pieces.bytes().unwrap_or_default());
    while let Some(tag) = fields.tag()? {
        match tag.number() {
            1 => {
                json.separate(start)?;
                write(fields.bytes(tag, "values")?, json)?;
            }
            _ => fields.skip(tag)?,
        }
    }
    Ok(())
}

fn write_pair(pair: &[u8], json: &mut JsonText<'_>, depth: usize) -> Result<(), Invalid> {
    let pair = KeyValue::read(pair, json.meter())?;
    write_text(pair.key, json)?;
    json.raw(":")?;
    let value = pair.value.bytes().unwrap_or_default();
    AnyValue::read(value, json.meter())?.write(json, depth)
}

fn write_text(text: &[u8], json: &mut JsonText<'_>) -> Result<(), Invalid> {
    let text = lossy(text, json.meter())?;
    json.value(text)
}

/// A text; a byte that is no UTF-8 becomes three, which are charged.
fn lossy<'a>(text: &'a [u8], meter: &mut Meter) -> Result<Cow<'a, str>, Invalid> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Ok(Cow::Borrowed(text));
    }
    charge(meter, text.len().saturating_mul(3))?;
    Ok(String::from_utf8_lossy(text))
}
