//! Values, and pairs of a name and a value.

use std::borrow::Cow;

use bytes::Bytes;

use super::pieces::{Part, Pieces};
use crate::meter::Meter;
use crate::otlp::draft::Draft;
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
        if let Some(usual) = Self::usual(bytes) {
            return Ok(usual);
        }
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

    /// A short key and then a short value, as nearly all of them are. Comparing two
    /// tags is faster than looking at each field.
    #[inline(always)]
    fn usual(bytes: &'a [u8]) -> Option<Self> {
        let [0x0a, key_len @ ..0x80, rest @ ..] = bytes else {
            return None;
        };
        let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
        let [0x12, value_len @ ..0x80, value @ ..] = rest else {
            return None;
        };
        let value = (value.len() == usize::from(*value_len)).then_some(Pieces::One(value))?;
        Some(Self { key, value })
    }

    /// The name of an attribute. If it is not UTF-8, wrong bytes are replaced.
    #[inline(always)]
    pub(super) fn name(&self, whole: &Bytes, meter: &mut Meter) -> Result<Text, Invalid> {
        match text::shared(whole, self.key) {
            Some(name) => Ok(name),
            None => Ok(lossy(self.key, meter)?.into_owned().into()),
        }
    }

    /// The value of an attribute; null if there is none. Texts share the memory
    /// of `whole`, or that of what it was joined in.
    pub(super) fn value(self, whole: &Bytes, meter: &mut Meter) -> Result<Value, Invalid> {
        let read = |part: Part<'_>| AnyValue::read(part.bytes, meter)?.value(part, meter);
        let value = self.value.read(whole, read).transpose()?.flatten();
        Ok(value.unwrap_or(Draft::NULL))
    }
}

impl<'a> AnyValue<'a> {
    #[inline(always)]
    pub(super) fn read(bytes: &'a [u8], meter: &mut Meter) -> Result<Self, Invalid> {
        match Self::usual(bytes) {
            Some(usual) => Ok(usual),
            None => Self::read_fields(bytes, meter),
        }
    }

    /// One field, and a short one if it is a text, as in nearly all of them.
    #[inline(always)]
    fn usual(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            [0x0a, length @ ..0x80, text @ ..] if text.len() == usize::from(*length) => {
                Some(Self::Text(text))
            }
            [0x10, boolean @ ..0x80] => Some(Self::Boolean(*boolean != 0)),
            [0x18, integer @ ..0x80] => Some(Self::Integer(i64::from(*integer))),
            [0x18, low @ 0x80..=0xff, high @ ..0x80] => {
                Some(Self::Integer(i64::from(low & 0x7f) | i64::from(*high) << 7))
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn read_fields(bytes: &'a [u8], meter: &mut Meter) -> Result<Self, Invalid> {
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

    /// The value as a record keeps it; `None` if it is empty. It is in `part`.
    pub(super) fn value(self, part: Part<'_>, meter: &mut Meter) -> Result<Option<Value>, Invalid> {
        Ok(Some(match self {
            Self::Empty => return Ok(None),
            Self::Text(text) => text::value(part.whole, text),
            Self::Boolean(boolean) => Value::Boolean(boolean),
            Self::Integer(integer) => Value::Integer(integer),
            Self::Float(float) => Value::Float(float),
            Self::Bytes(bytes) => Value::Bytes(part.whole.slice_ref(bytes)),
            Self::Array(_) | Self::List(_) => {
                let mut json = JsonText::new(meter);
                self.write(&mut json, 1)?;
                Value::Json(json.finish())
            }
        }))
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
