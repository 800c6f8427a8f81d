//! Splits protobuf messages into their fields.

use thiserror::Error;

/// The most bytes of a varint.
const VARINT_BYTES_MAX: usize = 10;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum WireError {
    /// They end within a field.
    #[error("it ends within a field")]
    CutShort,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    LongVarint,
    /// A field has a number or a type that no field has, or that it cannot have.
    #[error("field {0} has a wrong type")]
    WrongType(u32),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// A number of fixed length; no message here has one.
    Fixed,
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field and its number; `None` at the end.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| WireError::WrongType(0))?;
        let number = key >> 3;
        let field = match key & 7 {
            _ if number == 0 => return Err(WireError::WrongType(0)),
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            // Groups are older than every client.
            _ => return Err(WireError::WrongType(number)),
        };
        Ok(Some((number, field)))
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::CutShort)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
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

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (at, byte) in self.0.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                if at + 1 == VARINT_BYTES_MAX && *byte > 1 {
                    return Err(WireError::LongVarint);
                }
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(match self.0.len() {
            ..VARINT_BYTES_MAX => WireError::CutShort,
            _ => WireError::LongVarint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, WireError> {
        let mut message = Message::new(bytes);
        std::iter::from_fn(|| message.field().transpose()).collect()
    }

    #[test]
    fn fields_of_every_type_are_split() {
        let bytes = b"\x08\x96\x01\x12\x02ab\x1d1234\x2112345678\xf8\xff\xff\xff\x0f\x00";
        let expected = vec![
            (1, Field::Varint(150)),
            (2, Field::Bytes(b"ab")),
            (3, Field::Fixed),
            (4, Field::Fixed),
            (0x1fff_ffff, Field::Varint(0)),
        ];
        assert_eq!(fields(bytes), Ok(expected));
        let max = [&[8][..], &[0xff; 9], &[1]].concat();
        assert_eq!(fields(&max), Ok(vec![(1, Field::Varint(u64::MAX))]));
    }

    #[test]
    fn what_is_no_field_is_an_error_however_long_it_says_it_is() {
        for (bytes, expected) in [
            (&b"\x12\x03ab"[..], WireError::CutShort),
            (
                b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                WireError::CutShort,
            ),
            (b"\x08\x80", WireError::CutShort),
            (b"\x09123", WireError::CutShort),
            (b"\x0d123", WireError::CutShort),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                WireError::LongVarint,
            ),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                WireError::LongVarint,
            ),
            (b"\x00\x01", WireError::WrongType(0)),
            (b"\xf8\xff\xff\xff\x1f\x00", WireError::WrongType(0)),
            (b"\x0b\x0c", WireError::WrongType(1)),
            (b"\x16", WireError::WrongType(2)),
        ] {
            assert_eq!(fields(bytes), Err(expected), "{bytes:x?}");
        }
    }
}
