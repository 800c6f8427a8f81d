//! Reads the values of a body, one after the other.

use std::ops::Deref;

use super::names;
use crate::json::scanner::{Problem, Quoted, Scanned, Scanner};
use crate::meter::Meter;
use crate::otlp::invalid::Invalid;
use sluice_types::excerpt::excerpt;
use sluice_types::record::Text;

/// The most characters of a value that is repeated as wrong.
const SHOWN_CHARS: usize = 40;

/// A place in a body, from which is read on. A copy reads on by itself from the
/// same place.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    whole: &'a Text,
    scanner: Scanner<'a>,
}

/// A text without escapes.
#[derive(Debug)]
pub(super) enum Unquoted<'a> {
    /// A part of the body.
    Plain(&'a str),
    /// One that had escapes.
    Unescaped(Text),
}

impl Unquoted<'_> {
    pub(super) const EMPTY: Self = Self::Plain("");

    /// The text, which shares the memory of `whole` if it is a part of that.
    #[inline(always)]
    pub(super) fn shared(&self, whole: &Text) -> Text {
        match self {
            Self::Plain(plain) => whole.slice_ref(plain),
            Self::Unescaped(text) => text.clone(),
        }
    }
}

impl Deref for Unquoted<'_> {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        match self {
            Self::Plain(plain) => plain,
            Self::Unescaped(text) => text,
        }
    }
}

impl From<Problem> for Invalid {
    #[cold]
    fn from(problem: Problem) -> Self {
        Self::Json(problem.to_string())
    }
}

impl<'a> Reader<'a> {
    /// At the beginning of a body. How deep it is entered is up to the caller.
    pub(super) fn new(whole: &'a Text) -> Self {
        let scanner = Scanner::with_depth(whole, u32::MAX);
        Self { whole, scanner }
    }

    /// The body.
    pub(super) const fn whole(&self) -> &'a Text {
        self.whole
    }

    /// Enters the object that comes next. False if it is null, which is the same
    /// as one without fields.
    #[inline(always)]
    pub(super) fn enter(&mut self, expected: &'static str) -> Result<bool, Invalid> {
        match self.scanner.peek() {
            b'{' => Ok(self.scanner.enter().map(|()| true)?),
            first => self.null(first, expected),
        }
    }

    /// The same of an array.
    #[inline(always)]
    pub(super) fn enter_array(&mut self, expected: &'static str) -> Result<bool, Invalid> {
        match self.scanner.peek() {
            b'[' => Ok(self.scanner.enter_array().map(|()| true)?),
            first => self.null(first, expected),
        }
    }

    /// The next name in the object that was entered; `None` at its end.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<Option<&'a str>, Invalid> {
        Ok(self.scanner.name()?.map(names::of))
    }

    /// Whether the array that was entered has another element.
    #[inline(always)]
    pub(super) fn element(&mut self) -> Result<bool, Invalid> {
        Ok(self.scanner.element()?)
    }

    /// How many bytes of the body come behind this place.
    pub(super) fn bytes_left(&self) -> usize {
        self.whole.len() - self.scanner.since(0).len()
    }

    /// Whether an object comes next.
    pub(super) fn is_at_object(&mut self) -> bool {
        self.scanner.peek() == b'{'
    }

    /// Reads what comes next by a function that knows only some of its forms. For
    /// another, it returns nothing, and nothing is read.
    #[inline(always)]
    pub(super) fn attempt<T>(
        &mut self,
        read: impl FnOnce(&mut Scanner<'a>) -> Option<T>,
    ) -> Option<T> {
        self.scanner.peek();
        let mut scanner = self.scanner.clone();
        let read = read(&mut scanner)?;
        self.scanner = scanner;
        Some(read)
    }

    /// Checks that nothing comes any more.
    pub(super) fn end(&mut self) -> Result<(), Invalid> {
        Ok(self.scanner.end()?)
    }

    /// Skips the value that comes next, and returns it as it is written.
    pub(super) fn skip(&mut self, meter: &mut Meter) -> Result<&'a str, Invalid> {
        let start = self.scanner.next_place();
        self.scanner.skip(meter)?;
        Ok(self.scanner.since(start))
    }

    /// A text; `None` if it is null.
    #[inline(always)]
    pub(super) fn quoted(&mut self) -> Result<Option<Quoted<'a>>, Invalid> {
        self.scalar("a text", text)
    }

    /// The same without escapes. One that had some is charged.
    #[inline(always)]
    pub(super) fn text(&mut self, meter: &mut Meter) -> Result<Option<Unquoted<'a>>, Invalid> {
        match self.quoted()? {
            Some(Quoted::Plain(plain)) => Ok(Some(Unquoted::Plain(plain))),
            Some(escaped) => {
                let text = escaped.text(self.whole, meter).map_err(Invalid::Json)?;
                Ok(Some(Unquoted::Unescaped(text)))
            }
            None => Ok(None),
        }
    }

    /// Reads the value that comes next, unless it is null. If there is no result,
    /// the error says what was expected.
    #[inline(always)]
    pub(super) fn scalar<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(Scanned<'a>) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let start = self.scanner.next_place();
        let value = self.scanner.value()?;
        if value == Scanned::Other("null") {
            return Ok(None);
        }
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.wrong(expected, start)),
        }
    }

    /// What was read from this place on is not what was expected.
    #[cold]
    fn wrong(&self, expected: &str, start: usize) -> Invalid {
        let said = excerpt(self.scanner.since(start), SHOWN_CHARS);
        Invalid::Json(format!("{said} is not {expected} at byte {start}"))
    }

    #[cold]
    fn null(&mut self, first: u8, expected: &str) -> Result<bool, Invalid> {
        if first == b'n' {
            self.scanner.value()?;
            return Ok(false);
        }
        let at = self.scanner.next_place();
        Err(Invalid::Json(format!("expected {expected} at byte {at}")))
    }
}

#[inline(always)]
const fn text(scanned: Scanned<'_>) -> Option<Quoted<'_>> {
    match scanned {
        Scanned::Text(quoted) => Some(quoted),
        Scanned::Number(_) | Scanned::Boolean(_) | Scanned::Other(_) => None,
    }
}
