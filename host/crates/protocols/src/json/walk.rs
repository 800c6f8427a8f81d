//! Walks over a JSON text without keeping anything of it.
//!
//! This finds the elements and fields that a decoder looks for, in bounded
//! memory however deep the text is nested. What is inside of them is checked by
//! those who read them: a string that is skipped may have wrong escapes.

use thiserror::Error;

/// How deep an element may be nested, in arrays and objects.
pub(crate) const DEPTH_MAX: u32 = 32;

/// A place in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    json: &'a str,
    /// In bytes.
    at: usize,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    /// The text.
    pub(crate) json: &'a str,
    /// Whether it is nested deeper than [`DEPTH_MAX`]. If so, only its end is
    /// known.
    pub(crate) is_too_deep: bool,
}

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {expected} at byte {at}")]
pub(crate) struct SyntaxError {
    at: usize,
    expected: &'static str,
}

type Result<T> = std::result::Result<T, SyntaxError>;

impl<'a> Cursor<'a> {
    /// At the beginning of a text.
    pub(crate) const fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// Says what should be here instead.
    pub(crate) const fn expected(&self, expected: &'static str) -> SyntaxError {
        let at = self.at;
        SyntaxError { at, expected }
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Calls a function at each element of the array that is next. The function
    /// must move beyond it.
    pub(crate) fn each_element(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'[', "an array")?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            read(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the array")?;
        }
    }

    /// Calls a function with the name of each field of the object that is next,
    /// at its value. The function must move beyond it. Escapes in names are kept.
    pub(crate) fn each_field(
        &mut self,
        mut read: impl FnMut(&mut Self, &'a str) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{', "an object")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.name()?;
            read(self, name)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the object")?;
        }
    }

    /// Moves beyond the next value.
    pub(crate) fn skip(&mut self) -> Result<Raw<'a>> {
        self.peek();
        let start = self.at;
        let is_too_deep = self.skip_nested()?;
        let json = self.json.get(start..self.at).unwrap_or_default();
        Ok(Raw { json, is_too_deep })
    }

    /// The text from the next value on.
    pub(crate) fn rest_of_text(&mut self) -> &'a str {
        self.peek();
        self.json.get(self.at..).unwrap_or_default()
    }

    /// Moves beyond the next value, which has this many bytes.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.peek();
        self.at += bytes;
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end")),
        }
    }

    /// Returns whether the value is too deep.
    fn skip_nested(&mut self) -> Result<bool> {
        let mut is_too_deep = false;
        let mut depth = 0;
        // Which of the open ones are objects; the lowest bit is the innermost.
        let mut objects = 0_u64;
        loop {
            match self.peek() {
                Some(b'{' | b'[') if depth == DEPTH_MAX => {
                    is_too_deep = true;
                    self.skip_loosely()?;
                }
                Some(first @ (b'{' | b'[')) => {
                    self.at += 1;
                    let is_object = first == b'{';
                    if !self.take(closing(is_object)) {
                        depth += 1;
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            loop {
                if depth == 0 {
                    return Ok(is_too_deep);
                }
                let is_object = objects & 1 == 1;
                if self.take(b',') {
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                self.expect(closing(is_object), "a comma or a closing bracket")?;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b't') => self.skip_word("true"),
            Some(b'f') => self.skip_word("false"),
            Some(b'n') => self.skip_word("null"),
            _ => Err(self.expected("a value")),
        }
    }

    /// Moves beyond an object or array, whatever order its brackets have.
    fn skip_loosely(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
                None => return Err(self.expected("a closing bracket")),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_number(&mut self) -> Result<()> {
        self.eat(b'-');
        let is_zero = self.byte() == Some(b'0');
        let digits = self.skip_digits();
        let mut is_right = digits > 0 && !(is_zero && digits > 1);
        if self.eat(b'.') {
            is_right &= self.skip_digits() > 0;
        }
        if self.eat(b'e') || self.eat(b'E') {
            _ = self.eat(b'+') || self.eat(b'-');
            is_right &= self.skip_digits() > 0;
        }
        match is_right {
            true => Ok(()),
            false => Err(self.expected("a number")),
        }
    }

    /// Returns how many there were.
    fn skip_digits(&mut self) -> usize {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        self.at += count;
        count
    }

    fn skip_word(&mut self, word: &'static str) -> Result<()> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The name of a field, and moves beyond its colon.
    fn name(&mut self) -> Result<&'a str> {
        let name = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(name)
    }

    /// What is between the quotes, with its escapes.
    fn string(&mut self) -> Result<&'a str> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        while let Some(found) = memchr::memchr2(b'"', b'\\', self.rest()) {
            self.at += found;
            if self.byte() == Some(b'"') {
                let inner = self.json.get(start..self.at);
                self.at += 1;
                return Ok(inner.unwrap_or_default());
            }
            self.at += 2;
        }
        Err(self.expected("the end of a string"))
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<()> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.expected(name)),
        }
    }

    /// Moves beyond this byte and the white space before it, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.peek();
        self.eat(byte)
    }

    /// Moves beyond this byte if it is here.
    fn eat(&mut self, byte: u8) -> bool {
        let is_here = self.byte() == Some(byte);
        self.at += usize::from(is_here);
        is_here
    }

    fn byte(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }
}

const fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn skipped(json: &str) -> Result<Raw<'_>> {
        let mut cursor = Cursor::new(json);
        let raw = cursor.skip()?;
        cursor.end()?;
        Ok(raw)
    }

    #[test]
    fn elements_and_fields_are_found_in_their_order() {
        let json = r#" { "a" : [1, "]" ,[2,{"b":3}], {}, []] , "\"}" : null } "#;
        let (mut names, mut elements) = (Vec::new(), Vec::new());
        let mut cursor = Cursor::new(json);
        let read = cursor.each_field(|cursor, name| {
            names.push(name);
            if name != "a" {
                return cursor.skip().map(drop);
            }
            cursor.each_element(|cursor| {
                elements.push(cursor.skip()?.json);
                Ok(())
            })
        });
        assert_eq!((read, cursor.end()), (Ok(()), Ok(())));
        assert_eq!(names, ["a", r#"\"}"#]);
        assert_eq!(elements, ["1", "\"]\"", "[2,{\"b\":3}]", "{}", "[]"]);
    }

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let error = skipped("[1 2]").unwrap_err().to_string();
        assert_eq!(error, "expected a comma or a closing bracket at byte 3");
        let error = skipped(r#"{"a"}"#).unwrap_err().to_string();
        assert_eq!(error, "expected a colon at byte 4");
    }

    #[test]
    fn a_deep_value_is_skipped_with_a_word_about_it() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!skipped(&nested(32)).unwrap().is_too_deep);
        assert!(skipped(&nested(33)).unwrap().is_too_deep);
        let deep = format!("{},2", nested(1 << 20));
        let mut cursor = Cursor::new(&deep);
        assert_eq!(cursor.skip().unwrap().json.len(), (2 << 20) + 1);
        assert_eq!(cursor.peek(), Some(b','));
        assert!(skipped(&"[".repeat(1 << 20)).is_err());
        assert!(skipped(&"{\"\":".repeat(1 << 20)).is_err());
    }

    /// Pieces that matter here.
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"a\":",
        " ",
        "\n",
        "-",
        "0",
        "1",
        "9",
        ".5",
        "e1",
        "E-7",
        "true",
        "false",
        "null",
        "nul",
        "é",
        "[1]",
        "{\"b\":[]}",
        "\"\\\"\"",
    ];

    #[test]
    fn whatever_is_json_is_skipped_and_nothing_else() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut valid = 0;
        for _ in 0..200_000 {
            let json: String = (0..rng.random_range(1..8))
                .map(|_| PIECES[rng.random_range(0..PIECES.len())])
                .collect();
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
            let skipped = skipped(&json);
            valid += u32::from(is_json);
            // Only what is in a string is not checked.
            let is_lenient = json.contains('"');
            assert!(skipped.is_ok() >= is_json, "{json}");
            assert!(is_lenient || skipped.is_ok() == is_json, "{json}");
            if is_json {
                assert_eq!(skipped.unwrap().json, json.trim());
            }
        }
        assert!(valid > 10_000, "{valid}");
    }
}
