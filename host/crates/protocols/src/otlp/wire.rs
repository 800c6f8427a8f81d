//! Protobuf's wire format: the fields of a message, in their order.
//!
//! What every field goes through is always inlined: left to the compiler, it is
//! not, and decoding takes a third longer.

use thiserror::Error;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum WireError {
    #[error("it ends within a field")]
    Truncated,
    #[error("a number has more than 64 bits")]
    Overlong,
    #[error("a field number is out of range")]
    FieldNumber,
    #[error("it has a group, which OTLP does not use")]
    Group,
    #[error("it has a field of an unknown wire type")]
    UnknownType,
    #[error("{0} has the wrong wire type")]
    WrongType(&'static str),
}

/// The number of a field and the type of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u32);

/// The fields of a message, read from its begin on: first the tag of each, then
/// what the field holds.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
/// A text, bytes or a message.
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Tag {
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        self.0 >> 3
    }

    /// An error that names the field, if it is of another type than this.
    #[inline(always)]
    const fn expect(self, wire_type: u32, name: &'static str) -> Result<(), WireError> {
        match self.0 & 7 == wire_type {
            true => Ok(()),
            false => Err(self.unexpected(name)),
        }
    }

    #[cold]
    const fn unexpected(self, name: &'static str) -> WireError {
        match self.0 & 7 {
            VARINT | FIXED64 | BYTES | FIXED32 => WireError::WrongType(name),
            3 | 4 => WireError::Group,
            _ => WireError::UnknownType,
        }
    }
}

impl<'a> Fields<'a> {
    /// The tag of the next field; `None` at the end.
    #[inline(always)]
    pub(super) fn tag(&mut self) -> Result<Option<Tag>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        match u32::try_from(self.any_varint()?) {
            Ok(tag) if tag >> 3 > 0 => Ok(Some(Tag(tag))),
            _ => Err(WireError::FieldNumber),
        }
    }

    /// What the field with this tag holds. The name is for an error.
    #[inline(always)]
    pub(super) fn bytes(&mut self, tag: Tag, name: &'static str) -> Result<&'a [u8], WireError> {
        tag.expect(BYTES, name)?;
        self.any_bytes()
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, tag: Tag, name: &'static str) -> Result<u64, WireError> {
        tag.expect(VARINT, name)?;
        self.any_varint()
    }

    #[inline(always)]
    pub(super) fn fixed64(&mut self, tag: Tag, name: &'static str) -> Result<u64, WireError> {
        tag.expect(FIXED64, name)?;
        self.array().map(u64::from_le_bytes)
    }

    #[inline(always)]
    pub(super) fn fixed32(&mut self, tag: Tag, name: &'static str) -> Result<u32, WireError> {
        tag.expect(FIXED32, name)?;
        self.array().map(u32::from_le_bytes)
    }

    /// Passes what the field with this tag holds, whatever that is.
    pub(super) fn skip(&mut self, tag: Tag) -> Result<(), WireError> {
        match tag.0 & 7 {
            VARINT => self.any_varint().map(drop),
            FIXED64 => self.array::<8>().map(drop),
            BYTES => self.any_bytes().map(drop),
            FIXED32 => self.array::<4>().map(drop),
            _ => Err(tag.unexpected("")),
        }
    }

    #[inline(always)]
    fn any_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.any_varint()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let split = self.0.split_at_checked(length);
        let (bytes, rest) = split.ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline(always)]
    fn any_varint(&mut self) -> Result<u64, WireError> {
        match self.0 {
            [byte @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// Of at most 10 bytes, the last of which has one bit.
    #[cold]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Truncated)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return match shift == 63 && *byte > 1 {
                    true => Err(WireError::Overlong),
                    false => Ok(value),
                };
            }
        }
        Err(WireError::Overlong)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }
}

/// Appends a field that holds a number. A default, 0, is left out.
pub(super) fn put_varint(message: &mut Vec<u8>, number: u8, value: u64) {
    if value > 0 {
        message.push(number << 3);
        put_bare(message, value);
    }
}

/// Appends a field that holds a text, bytes or a message. The default, nothing,
/// is left out.
pub(super) fn put_bytes(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        message.push(number << 3 | 2);
        put_bare(message, bytes.len() as u64);
        message.extend_from_slice(bytes);
    }
}

fn put_bare(message: &mut Vec<u8>, mut value: u64) {
    while let [low, ..] = value.to_le_bytes()
        && value >= 0x80
    {
        message.push(low | 0x80);
        value >>= 7;
    }
    message.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Held<'a> {
        Varint(u64),
        Fixed64(u64),
        Fixed32(u32),
        Bytes(&'a [u8]),
    }

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Held<'_>)>, WireError> {
        let mut fields = Fields(bytes);
        let mut held = Vec::new();
        while let Some(tag) = fields.tag()? {
            let mut skipped = fields.clone();
            let one = match tag.0 & 7 {
                0 => Held::Varint(fields.varint(tag, "")?),
                1 => Held::Fixed64(fields.fixed64(tag, "")?),
                2 => Held::Bytes(fields.bytes(tag, "")?),
                5 => Held::Fixed32(fields.fixed32(tag, "")?),
                _ => {
                    let named = fields.bytes(tag, "").unwrap_err();
                    assert_eq!(skipped.skip(tag), Err(named));
                    return Err(named);
                }
            };
            skipped.skip(tag).unwrap();
            assert_eq!(skipped.0, fields.0);
            held.push((tag.number(), one));
        }
        Ok(held)
    }

    #[test]
    fn each_wire_type_is_read() {
        let bytes = b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\x80\x1a\x02ab\x25\x02\0\0\0\xfa\x01\0";
        let expected = [
            (1, Held::Varint(150)),
            (2, Held::Fixed64(1 | 1 << 63)),
            (3, Held::Bytes(b"ab")),
            (4, Held::Fixed32(2)),
            (31, Held::Bytes(b"")),
        ];
        assert_eq!(fields(bytes).unwrap(), expected);
    }

    #[test]
    fn a_field_of_another_type_is_named() {
        let mut fields = Fields(b"\x08\x01");
        let tag = fields.tag().unwrap().unwrap();
        let wrong = Err(WireError::WrongType("it"));
        assert_eq!(fields.bytes(tag, "it").map(drop), wrong);
        assert_eq!(fields.fixed64(tag, "it").map(drop), wrong);
        assert_eq!(fields.fixed32(tag, "it").map(drop), wrong);
        assert_eq!(fields.varint(tag, "it"), Ok(1));
        assert_eq!(fields.tag(), Ok(None));
    }

    #[test]
    fn what_is_no_message_is_named() {
        for (bytes, error) in [
            (&b"\x08"[..], WireError::Truncated),
            (b"\x08\x80", WireError::Truncated),
            (b"\x09\0\0\0\0\0\0\0", WireError::Truncated),
            (b"\x0d\0\0\0", WireError::Truncated),
            (b"\x0a\x02a", WireError::Truncated),
            // As long as a number can be.
            (
                b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
                WireError::Truncated,
            ),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                WireError::Overlong,
            ),
            (
                b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                WireError::Overlong,
            ),
            (b"\x00\x00", WireError::FieldNumber),
            (b"\x88\x80\x80\x80\x10\x00", WireError::FieldNumber),
            (b"\x0b\x0c", WireError::Group),
            (b"\x0c", WireError::Group),
            (b"\x0e\x00", WireError::UnknownType),
            (b"\x0f\x00", WireError::UnknownType),
        ] {
            assert_eq!(fields(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut message = Vec::new();
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX] {
            put_varint(&mut message, 1, value);
        }
        put_bytes(&mut message, 2, b"");
        put_bytes(&mut message, 3, &[7; 300]);
        let expected = [
            (1, Held::Varint(1)),
            (1, Held::Varint(0x7f)),
            (1, Held::Varint(0x80)),
            (1, Held::Varint(0x3fff)),
            (1, Held::Varint(0x4000)),
            (1, Held::Varint(u64::MAX)),
            (3, Held::Bytes(&[7; 300])),
        ];
        assert_eq!(fields(&message).unwrap(), expected);
    }
}
