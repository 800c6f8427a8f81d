//! Writes MessagePack values as JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_types::record::Text;

use super::fault::{DEPTH_MAX, Fault};
use super::msgpack::{Reader, Token};
use crate::meter::Meter;

/// The least that the memory of a text grows by, in bytes.
const ROOM_MIN: usize = 256;
/// No number is written with more bytes.
const NUMBER_BYTES_MAX: usize = 32;

/// JSON that is being written, in memory that is used again for the next one. It
/// is charged before it grows.
///
/// Text that is not UTF-8 gets replacement characters, other bytes become base64,
/// and floats that JSON does not have become null.
#[derive(Debug, Default)]
pub(super) struct JsonText {
    text: String,
}

impl JsonText {
    /// The value whose first token this is, as a text of its own. The rest of it
    /// is read.
    pub(super) fn of(
        &mut self,
        token: Token<'_>,
        reader: &mut Reader<'_>,
        meter: &mut Meter,
    ) -> Result<Text, Fault> {
        self.text.clear();
        self.value(token, reader, DEPTH_MAX, meter)?;
        match meter.charge(self.text.len()) {
            true => Ok(Text::from(&*self.text)),
            false => Err(Fault::Stopped),
        }
    }

    /// What the memory of this takes, in bytes.
    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity()
    }

    fn value(
        &mut self,
        token: Token<'_>,
        reader: &mut Reader<'_>,
        depth: u8,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        match token {
            Token::Nil => self.push("null", meter),
            Token::Boolean(true) => self.push("true", meter),
            Token::Boolean(false) => self.push("false", meter),
            Token::Integer(number) => self.push(itoa::Buffer::new().format(number), meter),
            Token::Unsigned(number) => self.push(itoa::Buffer::new().format(number), meter),
            Token::Float(number) => self.float(number, meter),
            Token::Str(bytes) => self.string(bytes, meter),
            Token::Bin(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.string(text.as_bytes(), meter),
                Err(_) => self.base64(bytes, meter),
            },
            Token::Ext(_, bytes) => self.base64(bytes, meter),
            Token::Array(length) => {
                let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
                self.array(length, reader, depth, meter)
            }
            Token::Map(length) => {
                let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
                self.map(length, reader, depth, meter)
            }
        }
    }

    fn array(
        &mut self,
        length: usize,
        reader: &mut Reader<'_>,
        depth: u8,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        self.push("[", meter)?;
        for at in 0..length {
            if at > 0 {
                self.push(",", meter)?;
            }
            let element = reader.value()?;
            self.value(element, reader, depth, meter)?;
        }
        self.push("]", meter)
    }

    fn map(
        &mut self,
        length: usize,
        reader: &mut Reader<'_>,
        depth: u8,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        self.push("{", meter)?;
        for at in 0..length {
            if at > 0 {
                self.push(",", meter)?;
            }
            let key = reader.value()?;
            self.key(key, reader, meter)?;
            self.push(":", meter)?;
            let value = reader.value()?;
            self.value(value, reader, depth, meter)?;
        }
        self.push("}", meter)
    }

    /// JSON has only texts as keys, so everything that has no elements is written
    /// as one.
    fn key(
        &mut self,
        key: Token<'_>,
        reader: &mut Reader<'_>,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        match key {
            Token::Array(_) | Token::Map(_) => Err(Fault::NestedKey),
            Token::Str(bytes) | Token::Bin(bytes) | Token::Ext(_, bytes) => {
                self.string(bytes, meter)
            }
            scalar => {
                self.push("\"", meter)?;
                self.value(scalar, reader, 0, meter)?;
                self.push("\"", meter)
            }
        }
    }

    fn float(&mut self, number: f64, meter: &mut Meter) -> Result<(), Fault> {
        let Some(number) = serde_json::Number::from_f64(number) else {
            return self.push("null", meter);
        };
        self.make_room(NUMBER_BYTES_MAX, meter)?;
        // Writing to a text does not fail.
        write!(self.text, "{number}").map_err(|_| Fault::Stopped)
    }

    fn base64(&mut self, bytes: &[u8], meter: &mut Meter) -> Result<(), Fault> {
        self.make_room(bytes.len().div_ceil(3).saturating_mul(4) + 2, meter)?;
        self.text.push('"');
        STANDARD.encode_string(bytes, &mut self.text);
        self.text.push('"');
        Ok(())
    }

    fn string(&mut self, bytes: &[u8], meter: &mut Meter) -> Result<(), Fault> {
        self.push("\"", meter)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.escaped(text, meter)?,
            Err(_) => {
                for chunk in bytes.utf8_chunks() {
                    self.escaped(chunk.valid(), meter)?;
                    if !chunk.invalid().is_empty() {
                        self.push("\u{fffd}", meter)?;
                    }
                }
            }
        }
        self.push("\"", meter)
    }

    fn escaped(&mut self, mut text: &str, meter: &mut Meter) -> Result<(), Fault> {
        while let Some(at) = special(text.as_bytes()) {
            let (plain, rest) = text.split_at_checked(at).unwrap_or_default();
            self.push(plain, meter)?;
            let mut characters = rest.chars();
            let special = characters.next().unwrap_or_default();
            text = characters.as_str();
            match special {
                '"' => self.push("\\\"", meter)?,
                '\\' => self.push("\\\\", meter)?,
                '\n' => self.push("\\n", meter)?,
                '\r' => self.push("\\r", meter)?,
                '\t' => self.push("\\t", meter)?,
                other => {
                    self.make_room(NUMBER_BYTES_MAX, meter)?;
                    let code = u32::from(other);
                    write!(self.text, "\\u{code:04x}").map_err(|_| Fault::Stopped)?;
                }
            }
        }
        self.push(text, meter)
    }

    fn push(&mut self, text: &str, meter: &mut Meter) -> Result<(), Fault> {
        self.make_room(text.len(), meter)?;
        self.text.push_str(text);
        Ok(())
    }

    /// Makes sure that so many more bytes can be written without growing.
    fn make_room(&mut self, bytes: usize, meter: &mut Meter) -> Result<(), Fault> {
        let free = self.text.capacity() - self.text.len();
        if bytes <= free {
            return Ok(());
        }
        // Doubling keeps the copying linear.
        let more = (bytes - free).max(self.text.capacity()).max(ROOM_MIN);
        match meter.charge(more) {
            true => {
                self.text.reserve_exact(free + more);
                Ok(())
            }
            false => Err(Fault::Stopped),
        }
    }
}

/// Where the first byte is that JSON does not have within a text.
fn special(bytes: &[u8]) -> Option<usize> {
    /// So many bytes are looked at together.
    const STEP: usize = 16;
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let steps = bytes.chunks_exact(STEP);
    let plain =
        steps.take_while(|step| !step.iter().fold(false, |any, byte| any | is_special(byte)));
    let start = plain.count() * STEP;
    let rest = bytes.get(start..).unwrap_or_default();
    rest.iter().position(is_special).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn meter(bytes: usize) -> Meter {
        Meter::new(MemoryBudget::new(bytes).reserve(), Client::default())
    }

    fn json(bytes: &[u8]) -> Result<String, Fault> {
        let mut reader = Reader::new(bytes);
        let token = reader.value()?;
        let text = JsonText::default().of(token, &mut reader, &mut meter(1 << 20))?;
        Ok(text.to_string())
    }

    #[test]
    fn every_type_has_its_form() {
        for (bytes, expected) in [
            (&b"\xc0"[..], "null"),
            (b"\x92\xc2\xc3", "[false,true]"),
            (b"\x90", "[]"),
            (b"\x80", "{}"),
            (b"\xff", "-1"),
            (
                b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                "18446744073709551615",
            ),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", "1.5"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "null"),
            (b"\xa7a\"\\\n\r\t\x01", r#""a\"\\\n\r\t\u0001""#),
            (b"\xa4\xe4\xb8\x96\xff", "\"世\u{fffd}\""),
            (b"\xc4\x03\xe4\xb8\x96", "\"世\""),
            (b"\xc4\x01\xff", "\"/w==\""),
            (b"\xd4\x05a", "\"YQ==\""),
            (
                b"\x85\xa1a\x91\x01\x07\xc0\xc0\xc4\x01\xff\xc4\x01b\xc3\xd4\x05c\xc2",
                r#"{"a":[1],"7":null,"null":"/w==","b":true,"c":false}"#,
            ),
        ] {
            assert_eq!(json(bytes).unwrap(), expected);
        }
        assert_eq!(json(b"\x81\x90\x01"), Err(Fault::NestedKey));
        assert_eq!(json(b"\x82\x01\x01\x01"), Err(Fault::Ended));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| {
            let mut bytes = vec![0x91; depth];
            bytes.push(0xc0);
            json(&bytes)
        };
        assert!(nested(usize::from(DEPTH_MAX)).is_ok());
        assert_eq!(nested(usize::from(DEPTH_MAX) + 1), Err(Fault::TooDeep));
        assert_eq!(nested(1 << 20), Err(Fault::TooDeep));
    }

    #[test]
    fn what_is_written_is_charged_before() {
        // A text that becomes six times as long.
        let bytes = [&b"\xdb\x00\x10\x00\x00"[..], &vec![1; 1 << 20]].concat();
        let mut reader = Reader::new(&bytes);
        let token = reader.value().unwrap();
        let mut written = JsonText::default();
        for memory in [6 << 20, 12 << 20] {
            let mut meter = meter(memory);
            let refused = written.of(token, &mut reader, &mut meter);
            assert_eq!(refused, Err(Fault::Stopped));
            assert!(written.capacity() <= memory);
            written = JsonText::default();
        }
        let mut meter = meter(64 << 20);
        let text = written.of(token, &mut reader, &mut meter).unwrap();
        assert_eq!(text.len(), (6 << 20) + 2);
        assert_eq!(meter.charged(), written.capacity() + text.len());
    }
}
