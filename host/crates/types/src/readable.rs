//! Text that somebody else wrote, made fit for documents, logs and terminals.
//!
//! This is the only place that decides which characters are escaped and how
//! long such a text may be. The documents in Consul and the status call it when
//! they are written and when they are read, [`crate::error_chain::chain`] calls
//! it for every error, and the command line for what it prints.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most characters of an error or a reason.
pub const MAX_ERROR: usize = 1_000;
/// The most characters of a source, as many as a path may have bytes.
pub const MAX_SOURCE: usize = 4_096;
/// The end of a text that was cut.
const CUT: char = '…';

/// An error or a reason: [`line()`] with at most [`MAX_ERROR`] characters.
#[must_use]
pub fn error<T: Display + ?Sized>(text: &T) -> String {
    line(text, MAX_ERROR)
}

/// The source of a sink: [`line()`] with at most [`MAX_SOURCE`] characters.
#[must_use]
pub fn source<T: Display + ?Sized>(text: &T) -> String {
    line(text, MAX_SOURCE)
}

/// The text on one line, of at most `max` characters: control, bidirectional
/// and line-separator characters become escapes such as `\n` and `\u{1b}`, and
/// a longer text ends with `…`. A text that came from here stays as it is. What
/// is cut off is not even formatted.
#[must_use]
pub fn line<T: Display + ?Sized>(text: &T, max: usize) -> String {
    let mut line = Line {
        shown: String::new(),
        count: 0,
        whole: 0,
        max,
        is_cut: false,
    };
    // It fails where the text is cut.
    let _whole = write!(line, "{text}");
    line.shown
}

/// Collects a text for [`line()`].
struct Line {
    shown: String,
    /// The characters of `shown`.
    count: usize,
    /// How many bytes of `shown` leave room for the mark of a cut.
    whole: usize,
    max: usize,
    is_cut: bool,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        if is_harmful(c) {
            self.shown.extend(c.escape_default());
            self.count += c.escape_default().len();
        } else {
            self.shown.push(c);
            self.count += 1;
        }
        if self.count > self.max {
            self.shown.truncate(self.whole);
            self.shown.push(CUT);
            self.is_cut = true;
            return Err(fmt::Error);
        }
        if self.count < self.max {
            self.whole = self.shown.len();
        }
        Ok(())
    }
}

/// JSON text for a terminal: the same JSON, with the characters that
/// [`line()`] escapes as JSON's own escapes. Line breaks between its parts stay.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let must_escape = |c| is_harmful(c) && c != '\n';
    if !text.contains(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if must_escape(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether the character can change what a terminal does, or the order or the
/// lines in which text around it is shown.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // The marks and embeddings of the bidirectional algorithm.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // The separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
        )
}

/// For `#[serde(with)]`: a field that holds an [`error()`].
pub mod error_field {
    use super::{Deserializer, Field, Serializer, error};

    /// Writes the field.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Field, S: Serializer>(field: &T, to: S) -> Result<S::Ok, S::Error> {
        field.shown_by(error).serialize(to)
    }

    /// Reads the field.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, T: Field, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::deserialize(from).map(|field| field.shown_by(error))
    }
}

/// For `#[serde(with)]`: a field that holds a [`source()`].
pub mod source_field {
    use super::{Deserializer, Field, Serializer, source};

    /// Writes the field.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Field, S: Serializer>(field: &T, to: S) -> Result<S::Ok, S::Error> {
        field.shown_by(source).serialize(to)
    }

    /// Reads the field.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, T: Field, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::deserialize(from).map(|field| field.shown_by(source))
    }
}

/// The type of a field with text.
pub trait Field: Serialize + for<'de> Deserialize<'de> {
    /// The field with its text, if there is one, replaced.
    #[must_use]
    fn shown_by(&self, show: fn(&str) -> String) -> Self;
}

impl Field for String {
    fn shown_by(&self, show: fn(&str) -> String) -> Self {
        show(self)
    }
}

impl Field for Option<String> {
    fn shown_by(&self, show: fn(&str) -> String) -> Self {
        self.as_deref().map(show)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that must not reach a terminal.
    const HOSTILE: &str = "\0\t\n\r\u{1b}[31m\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{202a}\
                           \u{202e}\u{2028}\u{2029}\u{2066}\u{2069}";

    #[test]
    fn what_could_harm_is_escaped_and_the_rest_stays() {
        assert_eq!(line(HOSTILE, 1000).chars().find(|c| is_harmful(*c)), None);
        assert_eq!(error("a\u{1b}[2J\nb\u{202e}c"), r"a\u{1b}[2J\nb\u{202e}c");
        let plain = r#"füße "quoted" \back\ 漢字 👩‍👩‍👧"#;
        assert_eq!(error(plain), plain);
    }

    #[test]
    fn a_text_has_at_most_so_many_characters_escapes_included() {
        assert_eq!(line("abc", 3), "abc");
        assert_eq!(line("abcd", 3), "ab…");
        // An escape is never cut in two.
        assert_eq!(line("ab\u{1b}c", 5), "ab…");
        assert_eq!(line("äöüß", 3), "äö…");
        for text in [HOSTILE.repeat(50_000), "x".repeat(500_000)] {
            assert!(error(&text).chars().count() <= MAX_ERROR);
            assert!(source(&text).chars().count() <= MAX_SOURCE);
        }
    }

    #[test]
    fn what_is_cut_off_is_not_formatted() {
        /// Writes for ever, until it is told to stop.
        struct Endless;

        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("endless ")?;
                }
            }
        }

        assert_eq!(error(&Endless).chars().count(), MAX_ERROR);
    }

    #[test]
    fn what_is_readable_stays_as_it_is() {
        for text in ["", "abc", HOSTILE, &HOSTILE.repeat(1000)] {
            let once = error(text);
            assert_eq!(error(&once), once);
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "text": HOSTILE, "plain": "ü" });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&pretty);
        assert_eq!(shown.chars().find(|c| is_harmful(*c) && *c != '\n'), None);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert!(shown.contains('ü'));
    }
}
