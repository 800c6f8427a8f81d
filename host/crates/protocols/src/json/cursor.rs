//! Steps through JSON text where it lies, value by value and in one pass.
//!
//! It takes a little more than JSON, because clients send it: a comma before a
//! closing bracket, control characters in strings, bytes that are not UTF-8, and
//! Python's `NaN` and `Infinity`.

#[cfg(test)]
mod tests;

use std::fmt;

use super::unescape::is_strict;

/// How deep arrays and objects are looked into. A value that is nested deeper is
/// only stepped over, and kept as a text.
pub(crate) const DEPTH_MAX: usize = 32;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value, and the bytes that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// Of a string, without the quotes.
    pub(crate) bytes: &'a [u8],
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string without escapes.
    Text,
    /// A string with escapes; the escapes were not looked at yet.
    Escaped,
    Number,
    True,
    False,
    Null,
    /// An array or an object that is JSON.
    Nested,
    /// One that other readers of JSON would not take, or that is nested deeper
    /// than [`DEPTH_MAX`]; or `NaN` or an infinity.
    Loose,
}

/// Why the text cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    expected: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not JSON: expected {} at byte {}",
            self.expected, self.at
        )
    }
}

impl<'a> Cursor<'a> {
    /// At the start of a text, behind its byte order mark.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let has_mark = bytes.starts_with(b"\xef\xbb\xbf");
        let at = if has_mark { 3 } else { 0 };
        Self { bytes, at }
    }

    /// The next byte that is no white space; `None` at the end.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let next = self.bytes.get(self.at).copied();
            match next {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                _ => return next,
            }
        }
    }

    /// Steps over this byte, if it is the next one.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// How many bytes of the text are behind this place.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes from a former place to this one.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// All bytes from a former place on.
    pub(crate) fn from(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Steps over the name of an object's next member, and the colon behind it.
    /// `None` at the end of the object. `is_first` is true before the first one.
    pub(crate) fn member(&mut self, is_first: &mut bool) -> Result<Option<Token<'a>>, Fault> {
        if !self.item(is_first, b'}')? {
            return Ok(None);
        }
        let name = self.string()?;
        match self.take(b':') {
            true => Ok(Some(name)),
            false => Err(self.fault("a colon")),
        }
    }

    /// Steps to an array's next element; false at the end of the array.
    pub(crate) fn element(&mut self, is_first: &mut bool) -> Result<bool, Fault> {
        self.item(is_first, b']')
    }

    fn item(&mut self, is_first: &mut bool, close: u8) -> Result<bool, Fault> {
        if self.take(close) {
            return Ok(false);
        }
        if std::mem::replace(is_first, false) {
            return Ok(true);
        }
        match self.take(b',') {
            true => Ok(!self.take(close)),
            false if close == b'}' => Err(self.fault("a comma or }")),
            false => Err(self.fault("a comma or ]")),
        }
    }

    /// Steps over a value.
    pub(crate) fn value(&mut self) -> Result<Token<'a>, Fault> {
        self.nested_value(1)
    }

    fn nested_value(&mut self, depth: usize) -> Result<Token<'a>, Fault> {
        let next = self.peek();
        let start = self.at;
        let kind = match next {
            Some(b'"') => return self.string(),
            Some(b'{' | b'[') => self.nested(depth)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::True)?,
            Some(b'f') => self.word("false", Kind::False)?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b'N') => self.word("NaN", Kind::Loose)?,
            Some(b'I') => self.word("Infinity", Kind::Loose)?,
            _ => return Err(self.fault("a value")),
        };
        let bytes = self.since(start);
        Ok(Token { kind, bytes })
    }

    /// Steps over an array or an object.
    fn nested(&mut self, depth: usize) -> Result<Kind, Fault> {
        if depth > DEPTH_MAX {
            self.skip_nested()?;
            return Ok(Kind::Loose);
        }
        let mut kind = Kind::Nested;
        let mut is_first = true;
        let is_object = self.take(b'{');
        if !is_object {
            self.at += 1;
        }
        loop {
            let before = self.at;
            let is_more = match is_object {
                true => match self.member(&mut is_first)? {
                    Some(name) => {
                        kind = kind.with(name);
                        true
                    }
                    None => false,
                },
                false => self.element(&mut is_first)?,
            };
            if !is_more {
                // A comma in front of the closing bracket.
                let is_strict = !self.since(before).contains(&b',');
                return Ok(if is_strict { kind } else { Kind::Loose });
            }
            kind = kind.with(self.nested_value(depth + 1)?);
        }
    }

    /// Steps over brackets until they balance, whatever their shapes.
    fn skip_nested(&mut self) -> Result<(), Fault> {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(self.fault("a closing bracket"))
    }

    /// Steps over a string.
    pub(crate) fn string(&mut self) -> Result<Token<'a>, Fault> {
        if !self.take(b'"') {
            return Err(self.fault("a string"));
        }
        let start = self.at;
        let mut kind = Kind::Text;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(next) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.fault("a closing quote"));
            };
            self.at += next;
            if rest.get(next) == Some(&b'"') {
                let bytes = self.since(start);
                self.at += 1;
                return Ok(Token { kind, bytes });
            }
            kind = Kind::Escaped;
            // The escaped character may be a quote.
            self.at = self.bytes.len().min(self.at + 2);
        }
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'I') => return self.word("Infinity", Kind::Loose),
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 => Err(self.fault("a digit")),
            _ => Ok(()),
        }
    }

    fn word(&mut self, word: &'static str, kind: Kind) -> Result<Kind, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(kind)
            }
            false => Err(self.fault(word)),
        }
    }

    const fn fault(&self, expected: &'static str) -> Fault {
        Fault {
            at: self.at,
            expected,
        }
    }
}

impl Kind {
    /// What an array or object is with this value or name in it.
    fn with(self, part: Token<'_>) -> Self {
        let is_strict = match part.kind {
            Self::Loose => false,
            Self::Text => !has_control_characters(part.bytes),
            Self::Escaped => !has_control_characters(part.bytes) && is_strict(part.bytes),
            _ => true,
        };
        if is_strict { self } else { Self::Loose }
    }
}

fn has_control_characters(bytes: &[u8]) -> bool {
    // Without a branch for each byte, this runs on many at once.
    bytes
        .iter()
        .fold(false, |found, byte| found | (*byte < b' '))
}
