//! Reads JSON by hand: in one pass, without copies, and without recursion.

mod plain;
mod skip;
#[cfg(test)]
mod tests;

use std::fmt;

use self::plain::plain_bytes;
use crate::meter::Meter;
use sluice_types::record::Text;

/// How many objects and arrays may be in each other, unless the reader says how
/// many.
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

/// Walks through a text from its beginning to its end. A copy walks on by itself
/// from the same place.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How many objects and arrays may be in each other.
    depth_max: u32,
    /// How many objects and arrays were entered and not left.
    depth: u32,
    /// Whether nothing was read yet of the object or array that was entered last.
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

    /// What is between the quotes, with the escapes as they are written.
    #[inline]
    pub(crate) fn written(self) -> &'a str {
        match self {
            Self::Plain(plain) => plain,
            Self::Escaped(json) => json.get(1..json.len() - 1).unwrap_or_default(),
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
    /// At the beginning of a text, in which [`DEPTH_MAX`] objects and arrays may be
    /// in each other.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self::with_depth(text, DEPTH_MAX)
    }

    /// At the beginning of a text, in which this many objects and arrays may be in
    /// each other. Those that are [skipped](Self::skip) do not count.
    pub(crate) const fn with_depth(text: &'a str, depth_max: u32) -> Self {
        Self {
            text,
            at: 0,
            depth_max,
            depth: 0,
            is_first: false,
        }
    }

    /// Enters the object that comes next.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), Problem> {
        match self.peek() {
            b'{' => self.enter_here(),
            _ => self.problem("expected an object"),
        }
    }

    /// Enters the array that comes next.
    #[inline]
    pub(crate) fn enter_array(&mut self) -> Result<(), Problem> {
        match self.peek() {
            b'[' => self.enter_here(),
            _ => self.problem("expected an array"),
        }
    }

    /// The next name in the object that was entered, whose value is to be read
    /// then; `None` at the end of the object, which is left by that.
    #[inline(always)]
    pub(crate) fn name(&mut self) -> Result<Option<Quoted<'a>>, Problem> {
        let is_first = std::mem::take(&mut self.is_first);
        match self.peek() {
            b'}' => {
                self.leave();
                return Ok(None);
            }
            b',' if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return self.problem("expected `,` or `}`"),
        }
        self.field_name().map(Some)
    }

    /// Whether the array that was entered has another element, which is to be read
    /// then. If it has not, it is left by that.
    #[inline(always)]
    pub(crate) fn element(&mut self) -> Result<bool, Problem> {
        let is_first = std::mem::take(&mut self.is_first);
        match self.peek() {
            b']' => {
                self.leave();
                return Ok(false);
            }
            b',' if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return self.problem("expected `,` or `]`"),
        }
        Ok(true)
    }

    /// The value that comes next.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Scanned<'a>, Problem> {
        match self.peek() {
            b'"' => self.quoted().map(Scanned::Text),
            first => self.other_value(first),
        }
    }

    /// Moves beyond this text if it comes next, whatever it is. What is moved beyond
    /// until the next call of [`Self::name`] or [`Self::element`] must be one whole
    /// value.
    #[inline(always)]
    pub(crate) fn pass(&mut self, json: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let comes_next = rest.starts_with(json.as_bytes());
        self.at += if comes_next { json.len() } else { 0 };
        comes_next
    }

    /// The rest of a string whose first quote was [passed](Self::pass), and moves
    /// beyond it. `None`, and no move, if it has escapes or is no string.
    #[inline(always)]
    pub(crate) fn plain_rest(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let end = self.at + plain_bytes(rest);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let plain = self.text.get(self.at..end);
        self.at = end + 1;
        plain
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

    #[inline(always)]
    fn enter_here(&mut self) -> Result<(), Problem> {
        if self.depth >= self.depth_max {
            return self.problem("too many objects and arrays in each other");
        }
        self.at += 1;
        self.depth += 1;
        self.is_first = true;
        Ok(())
    }

    #[inline(always)]
    const fn leave(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
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
        self.at += 1;
        match self.plain_rest() {
            Some(plain) => Ok(Quoted::Plain(plain)),
            None => self.escaped(),
        }
    }

    /// A string, which begins here behind its quote.
    #[inline(never)]
    fn escaped(&mut self) -> Result<Quoted<'a>, Problem> {
        let start = self.at - 1;
        loop {
            self.at += plain_bytes(self.text.as_bytes().get(self.at..).unwrap_or_default());
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return self.problem("a control character in a string"),
                None => return self.problem("a string without an end"),
            }
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
}
