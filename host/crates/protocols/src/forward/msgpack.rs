//! MessagePack, read on slices. The format is defined at
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use super::fault::Fault;

/// A value, or the head of a map or an array, whose elements come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// One that is greater than any `i64`.
    Unsigned(u64),
    Float(f64),
    /// Not necessarily UTF-8.
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Ext(i8, &'a [u8]),
    /// So many values follow.
    Array(usize),
    /// So many pairs of key and value follow.
    Map(usize),
}

/// Reads one value after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads a value. Each element that a map or an array announces takes at
    /// least one byte of what is left.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Token<'a>, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Ended)?;
        self.rest = rest;
        match *first {
            head @ 0xa0..=0xbf => self.take(usize::from(head & 0x1f)).map(Token::Str),
            small @ 0x00..=0x7f => Ok(Token::Integer(i64::from(small))),
            head @ 0x80..=0x8f => self.map(usize::from(head & 0x0f)),
            head @ 0x90..=0x9f => self.array(usize::from(head & 0x0f)),
            head => self.longer(head),
        }
    }

    /// A value whose first byte does not say everything about it.
    fn longer(&mut self, head: u8) -> Result<Token<'a>, Fault> {
        Ok(match head {
            negative @ 0xe0..=0xff => Token::Integer(i64::from(negative.cast_signed())),
            0xc0 => Token::Nil,
            0xc1 => return Err(Fault::Unused),
            0xc2 => Token::Boolean(false),
            0xc3 => Token::Boolean(true),
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.bytes()?))),
            0xcb => Token::Float(f64::from_be_bytes(self.bytes()?)),
            0xcc => Token::Integer(i64::from(u8::from_be_bytes(self.bytes()?))),
            0xcd => Token::Integer(i64::from(u16::from_be_bytes(self.bytes()?))),
            0xce => Token::Integer(i64::from(u32::from_be_bytes(self.bytes()?))),
            0xcf => unsigned(u64::from_be_bytes(self.bytes()?)),
            0xd0 => Token::Integer(i64::from(i8::from_be_bytes(self.bytes()?))),
            0xd1 => Token::Integer(i64::from(i16::from_be_bytes(self.bytes()?))),
            0xd2 => Token::Integer(i64::from(i32::from_be_bytes(self.bytes()?))),
            0xd3 => Token::Integer(i64::from_be_bytes(self.bytes()?)),
            head => return self.with_length(head),
        })
    }

    /// A value with a length of its own, or an extension.
    fn with_length(&mut self, head: u8) -> Result<Token<'a>, Fault> {
        let length = match head {
            0xc4 | 0xc7 | 0xd9 => usize::from(u8::from_be_bytes(self.bytes()?)),
            0xc5 | 0xc8 | 0xda | 0xdc | 0xde => usize::from(u16::from_be_bytes(self.bytes()?)),
            0xd4..=0xd8 => 1 << (head - 0xd4),
            _ => length(u32::from_be_bytes(self.bytes()?)),
        };
        match head {
            0xd9..=0xdb => self.take(length).map(Token::Str),
            0xc4..=0xc6 => self.take(length).map(Token::Bin),
            0xdc | 0xdd => self.array(length),
            0xde | 0xdf => self.map(length),
            _ => {
                let kind = i8::from_be_bytes(self.bytes()?);
                Ok(Token::Ext(kind, self.take(length)?))
            }
        }
    }

    /// Passes over a value, however deep it is, and returns its bytes.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Fault> {
        match Walk::new().advance(self.rest) {
            Step::End(length) => self.take(length),
            Step::Needs(_) => Err(Fault::Ended),
            Step::Unused => Err(Fault::Unused),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Ended)?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Fault::Ended)?;
        self.rest = rest;
        Ok(*bytes)
    }

    const fn array(&self, length: usize) -> Result<Token<'a>, Fault> {
        match length <= self.rest.len() {
            true => Ok(Token::Array(length)),
            false => Err(Fault::Ended),
        }
    }

    const fn map(&self, length: usize) -> Result<Token<'a>, Fault> {
        match length <= self.rest.len() / 2 {
            true => Ok(Token::Map(length)),
            false => Err(Fault::Ended),
        }
    }
}

/// A length that memory cannot have is longer than what is left in any case.
fn length(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn unsigned(number: u64) -> Token<'static> {
    i64::try_from(number).map_or(Token::Unsigned(number), Token::Integer)
}

/// Finds the end of a value whose bytes may not all be there yet. It remembers
/// how far it came, and how many values are missing: that bounds neither how deep
/// a value is, nor does it take memory for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Where the next value begins, perhaps beyond the bytes that are there.
    at: u64,
    /// How many values are missing from there.
    missing: u64,
}

/// How far a [`Walk`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value ends after so many bytes.
    End(usize),
    /// It ends after so many bytes at the earliest, and these are more than are
    /// there.
    Needs(u64),
    /// It contains a byte that is none of the format.
    Unused,
}

impl Walk {
    /// At the beginning of a value.
    pub(super) const fn new() -> Self {
        Self { at: 0, missing: 1 }
    }

    /// Whether nothing was passed yet.
    pub(super) const fn is_at_start(&self) -> bool {
        self.at == 0
    }

    /// Goes on with all bytes that are there, from the first of the value on.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Step {
        while self.missing > 0 {
            let rest = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..));
            match head(rest.unwrap_or_default()) {
                Ok(head) => {
                    self.at = self.at.saturating_add(head.bytes);
                    self.missing = (self.missing - 1).saturating_add(head.values);
                }
                Err(Headless::Needs(bytes)) => {
                    let others = self.missing - 1;
                    return Step::Needs(self.at.saturating_add(bytes).saturating_add(others));
                }
                Err(Headless::Unused) => return Step::Unused,
            }
        }
        match usize::try_from(self.at) {
            Ok(end) if end <= bytes.len() => Step::End(end),
            _ => Step::Needs(self.at),
        }
    }
}

/// What the head of a value says.
struct Head {
    /// How many bytes the value has, without those of its elements.
    bytes: u64,
    /// How many elements it has; a key counts too.
    values: u64,
}

/// Why the head of a value cannot be read.
enum Headless {
    /// It takes at least so many bytes.
    Needs(u64),
    Unused,
}

fn head(bytes: &[u8]) -> Result<Head, Headless> {
    let (first, rest) = bytes.split_first().ok_or(Headless::Needs(1))?;
    let (bytes, values) = match *first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (1, 0),
        head @ 0x80..=0x8f => (1, 2 * u64::from(head & 0x0f)),
        head @ 0x90..=0x9f => (1, u64::from(head & 0x0f)),
        head @ 0xa0..=0xbf => (1 + u64::from(head & 0x1f), 0),
        0xc1 => return Err(Headless::Unused),
        0xc4 | 0xd9 => (2 + number::<1>(rest)?, 0),
        0xc5 | 0xda => (3 + number::<2>(rest)?, 0),
        0xc6 | 0xdb => (5 + number::<4>(rest)?, 0),
        0xc7 => (3 + number::<1>(rest)?, 0),
        0xc8 => (4 + number::<2>(rest)?, 0),
        0xc9 => (6 + number::<4>(rest)?, 0),
        0xca | 0xce | 0xd2 => (5, 0),
        0xcb | 0xcf | 0xd3 => (9, 0),
        0xcc | 0xd0 => (2, 0),
        0xcd | 0xd1 => (3, 0),
        head @ 0xd4..=0xd8 => (2 + (1 << (head - 0xd4)), 0),
        0xdc => (3, number::<2>(rest)?),
        0xdd => (5, number::<4>(rest)?),
        0xde => (3, 2 * number::<2>(rest)?),
        0xdf => (5, 2 * number::<4>(rest)?),
    };
    Ok(Head { bytes, values })
}

/// The number of `N` bytes behind the first byte of a value.
fn number<const N: usize>(rest: &[u8]) -> Result<u64, Headless> {
    let bytes = rest.first_chunk::<N>();
    let bytes = bytes.ok_or(Headless::Needs(1 + N as u64))?;
    let append = |number, byte: &u8| number << 8 | u64::from(*byte);
    Ok(bytes.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_value_is_read() {
        for (bytes, expected) in [
            (&b"\x07"[..], Token::Integer(7)),
            (b"\xff", Token::Integer(-1)),
            (b"\xe0", Token::Integer(-32)),
            (b"\xc0", Token::Nil),
            (b"\xc2", Token::Boolean(false)),
            (b"\xc3", Token::Boolean(true)),
            (b"\xcc\xff", Token::Integer(255)),
            (b"\xcd\xff\xff", Token::Integer(65_535)),
            (b"\xce\xff\xff\xff\xff", Token::Integer(4_294_967_295)),
            (
                b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
                Token::Integer(i64::MAX),
            ),
            (b"\xcf\x80\0\0\0\0\0\0\0", Token::Unsigned(1 << 63)),
            (b"\xd0\x80", Token::Integer(-128)),
            (b"\xd1\x80\0", Token::Integer(-32_768)),
            (b"\xd2\x80\0\0\0", Token::Integer(-2_147_483_648)),
            (b"\xd3\x80\0\0\0\0\0\0\0", Token::Integer(i64::MIN)),
            (b"\xca\x3f\xc0\0\0", Token::Float(1.5)),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", Token::Float(1.5)),
            (b"\xa2ab", Token::Str(b"ab")),
            (b"\xd9\x02ab", Token::Str(b"ab")),
            (b"\xda\0\x02ab", Token::Str(b"ab")),
            (b"\xdb\0\0\0\x02ab", Token::Str(b"ab")),
            (b"\xc4\x02ab", Token::Bin(b"ab")),
            (b"\xc5\0\x02ab", Token::Bin(b"ab")),
            (b"\xc6\0\0\0\x02ab", Token::Bin(b"ab")),
            (b"\xd4\xffa", Token::Ext(-1, b"a")),
            (b"\xd5\x05ab", Token::Ext(5, b"ab")),
            (b"\xd6\x05abcd", Token::Ext(5, b"abcd")),
            (b"\xd7\x05abcdefgh", Token::Ext(5, b"abcdefgh")),
            (
                b"\xd8\x05abcdefghabcdefgh",
                Token::Ext(5, b"abcdefghabcdefgh"),
            ),
            (b"\xc7\x02\x05ab", Token::Ext(5, b"ab")),
            (b"\xc8\0\x02\x05ab", Token::Ext(5, b"ab")),
            (b"\xc9\0\0\0\x02\x05ab", Token::Ext(5, b"ab")),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.value(), Ok(expected), "{bytes:x?}");
            assert!(reader.rest().is_empty(), "{bytes:x?}");
            assert_eq!(Reader::new(bytes).skip(), Ok(bytes));
            for end in 0..bytes.len() {
                let cut = &bytes[..end];
                assert_eq!(Reader::new(cut).value(), Err(Fault::Ended), "{cut:x?}");
                assert_eq!(Reader::new(cut).skip(), Err(Fault::Ended), "{cut:x?}");
            }
        }
    }

    #[test]
    fn every_form_of_a_list_is_read() {
        for (bytes, expected) in [
            (&b"\x92\x01\x02"[..], Token::Array(2)),
            (b"\xdc\0\x02\x01\x02", Token::Array(2)),
            (b"\xdd\0\0\0\x02\x01\x02", Token::Array(2)),
            (b"\x81\x01\x02", Token::Map(1)),
            (b"\xde\0\x01\x01\x02", Token::Map(1)),
            (b"\xdf\0\0\0\x01\x01\x02", Token::Map(1)),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.value(), Ok(expected), "{bytes:x?}");
            assert_eq!(reader.rest(), b"\x01\x02");
            assert_eq!(Reader::new(bytes).skip(), Ok(bytes));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Reader::new(cut).value(), Err(Fault::Ended), "{cut:x?}");
            assert_eq!(Reader::new(cut).skip(), Err(Fault::Ended), "{cut:x?}");
        }
    }

    #[test]
    fn what_is_no_messagepack_is_named() {
        assert_eq!(Reader::new(b"\xc1").value(), Err(Fault::Unused));
        assert_eq!(Reader::new(b"\x92\x90\xc1").skip(), Err(Fault::Unused));
    }

    #[test]
    fn however_deep_a_value_is_it_can_be_skipped() {
        let mut deep = vec![0x91; 1 << 20];
        deep.push(0xc0);
        assert_eq!(Reader::new(&deep).skip(), Ok(&*deep));
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused_at_once() {
        for head in [b"\xdd", b"\xdf", b"\xdb", b"\xc6"] {
            let bytes = [&head[..], b"\xff\xff\xff\xff"].concat();
            assert_eq!(Reader::new(&bytes).value(), Err(Fault::Ended));
            let Step::Needs(needed) = Walk::new().advance(&bytes) else {
                panic!("{bytes:x?}")
            };
            assert!(needed >= u64::from(u32::MAX));
        }
    }
}
