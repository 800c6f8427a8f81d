//! Reads JSON by hand: in one pass, without copies, and without recursion.

use std::fmt;

use crate::meter::Meter;
use sluice_types::record::Text;

/// How many objects and arrays may be in each other. It fits into the bits of
/// [`Scanner::nested`]'s stack.
pub(crate) const DEPTH_MAX: u32 = 32;

/// What is wrong with the text, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    what: &'static str,
    at: usize,
}

/// A string, or the name of a field, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoted<'a> {
    /// Without escapes, and without its quotes.
    Plain(&'a str),
    /// With escapes, and with its quotes.
    Escaped(&'a str),
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned<'a> {
    Text(Quoted<'a>),
    Number(&'a str),
    Boolean(bool),
    /// An object, an array or null.
    Other(&'a str),
}

/// Walks through a text from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How many objects were entered and not left.
    depth: u32,
    /// Whether no name was read yet of the object that was entered last.
    is_first: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl From<Problem> for String {
    fn from(problem: Problem) -> Self {
        problem.to_string()
    }
}

impl<'a> Quoted<'a> {
    /// The text if it has no escapes.
    #[inline]
    pub(crate) const fn plain(self) -> Option<&'a str> {
        match self {
            Self::Plain(plain) => Some(plain),
            Self::Escaped(_) => None,
        }
    }

    /// The text, which shares the memory of `whole` where it has no escapes, and
    /// is charged where it does not.
    pub(crate) fn text(self, whole: &Text, meter: &mut Meter) -> Result<Text, String> {
        match self {
            Self::Plain(plain) => Ok(whole.slice_ref(plain)),
            // Unescaping makes no text longer.
            Self::Escaped(json) if meter.charge(json.len()) => {
                let text = serde_json::from_str::<String>(json);
                text.map(Text::from)
                    .map_err(|error| format!("a string is wrong: {error}"))
            }
            Self::Escaped(_) => Err("stopped".to_owned()),
        }
    }
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            is_first: false,
        }
    }

    /// Enters the object that comes next.
    pub(crate) fn enter(&mut self) -> Result<(), Problem> {
        if self.peek() != b'{' {
            return self.problem("expected an object");
        }
        if self.depth >= DEPTH_MAX {
            return self.problem("too many objects in each other");
        }
        self.at += 1;
        self.depth += 1;
        self.is_first = true;
        Ok(())
    }

    /// The next name in the object that was entered, whose value is to be read
    /// then; `None` at the end of the object, which is left by that.
    #[inline(always)]
    pub(crate) fn name(&mut self) -> Result<Option<Quoted<'a>>, Problem> {
        let is_first = std::mem::take(&mut self.is_first);
        match self.peek() {
            b'}' => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(None);
            }
            b',' if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return self.problem("expected `,` or `}`"),
        }
        self.field_name().map(Some)
    }

    /// The value that comes next.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Scanned<'a>, Problem> {
        match self.peek() {
            b'"' => self.quoted().map(Scanned::Text),
            first => self.other_value(first),
        }
    }

    /// The text from this place to where the scanner is.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Where the next value begins, in bytes from the beginning of the text.
    pub(crate) fn next_place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The first byte of what comes next; zero at the end.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> u8 {
        match self.here() {
            ..=b' ' => self.skip_space(),
            other => other,
        }
    }

    /// Checks that nothing comes any more.
    pub(crate) fn end(&mut self) -> Result<(), Problem> {
        self.peek();
        match self.at < self.text.len() {
            true => self.problem("expected the end"),
            false => Ok(()),
        }
    }

    #[inline(never)]
    fn skip_space(&mut self) -> u8 {
        loop {
            match self.here() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline(always)]
    fn here(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[cold]
    const fn problem<T>(&self, what: &'static str) -> Result<T, Problem> {
        Err(Problem { what, at: self.at })
    }

    #[inline(always)]
    fn field_name(&mut self) -> Result<Quoted<'a>, Problem> {
        if self.peek() != b'"' {
            return self.problem("expected a name");
        }
        let name = self.quoted()?;
        if self.peek() != b':' {
            return self.problem("expected `:`");
        }
        self.at += 1;
        Ok(name)
    }

    /// A string, of which the first quote is here.
    #[inline(always)]
    fn quoted(&mut self) -> Result<Quoted<'a>, Problem> {
        let start = self.at + 1;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let end = start + plain_bytes(rest);
        let plain = self.text.get(start..end).unwrap_or_default();
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.escaped(end);
        }
        self.at = end + 1;
        Ok(Quoted::Plain(plain))
    }

    /// A string, of which the first quote is here and the first escape is at `next`.
    #[inline(never)]
    fn escaped(&mut self, next: usize) -> Result<Quoted<'a>, Problem> {
        let start = std::mem::replace(&mut self.at, next);
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return self.problem("a control character in a string"),
                None => return self.problem("a string without an end"),
            }
            self.at += plain_bytes(self.text.as_bytes().get(self.at..).unwrap_or_default());
        }
        self.at += 1;
        Ok(Quoted::Escaped(self.since(start)))
    }

    /// A value that is no string. It begins here with this byte.
    fn other_value(&mut self, first: u8) -> Result<Scanned<'a>, Problem> {
        let start = self.at;
        match first {
            b'{' | b'[' => self.nested()?,
            b't' => return self.literal("true").map(|_| Scanned::Boolean(true)),
            b'f' => return self.literal("false").map(|_| Scanned::Boolean(false)),
            b'n' => return self.literal("null").map(Scanned::Other),
            _ => {
                self.number()?;
                return Ok(Scanned::Number(self.since(start)));
            }
        }
        Ok(Scanned::Other(self.since(start)))
    }

    /// An escape, whose backslash is here. Whether two of them make a pair of
    /// surrogates is not checked.
    fn escape(&mut self) -> Result<(), Problem> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.problem("a wrong escape");
                }
                self.at += 6;
            }
            _ => return self.problem("a wrong escape"),
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<&'a str, Problem> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        if !rest.starts_with(literal.as_bytes()) {
            return self.problem("expected a value");
        }
        self.at += literal.len();
        Ok(self.since(start))
    }

    fn number(&mut self) -> Result<(), Problem> {
        if self.here() == b'-' {
            self.at += 1;
        }
        match self.here() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return self.problem("expected a value"),
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.here(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Problem> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 => self.problem("expected a digit"),
            _ => Ok(()),
        }
    }

    /// Skips an object or an array.
    fn nested(&mut self) -> Result<(), Problem> {
        // A bit for each open object or array, set for an object. The lowest is
        // the innermost one.
        let mut open = 0_u64;
        let mut depth = 0;
        loop {
            match self.peek() {
                first @ (b'{' | b'[') => {
                    if self.depth + depth >= DEPTH_MAX {
                        return self.problem("too many objects and arrays in each other");
                    }
                    self.at += 1;
                    depth += 1;
                    let is_object = first == b'{';
                    open = (open << 1) | u64::from(is_object);
                    match (is_object, self.peek()) {
                        (true, b'}') | (false, b']') => {}
                        (true, _) => {
                            self.field_name()?;
                            continue;
                        }
                        (false, _) => continue,
                    }
                }
                _ => {
                    self.value()?;
                }
            }
            // Behind a value, or at the end of an empty object or array.
            loop {
                let is_object = open & 1 == 1;
                match self.peek() {
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.field_name()?;
                        }
                        break;
                    }
                    _ => return self.problem("expected `,` or the end of an object or array"),
                }
                self.at += 1;
                open >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// How many bytes come before the first quote, backslash or control character.
#[inline(always)]
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, later)) = rest.split_first_chunk::<8>() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
        rest = later;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The lowest bit that is set is the highest of the first of eight bytes that is
/// a quote, a backslash or a control character. Those above it mean nothing.
#[inline(always)]
const fn special(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * EACH;
    let backslash = word ^ (b'\\' as u64 * EACH);
    let is_backslash = backslash.wrapping_sub(EACH) & !backslash;
    // The quote is 0x22. With this bit flipped it is the first behind the control
    // characters, which stay among themselves.
    let flipped = word ^ (0x02 * EACH);
    let is_quote_or_control = flipped.wrapping_sub(0x21 * EACH) & !flipped;
    (is_backslash | is_quote_or_control) & HIGHEST
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
