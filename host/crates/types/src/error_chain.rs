//! An error as text.

use std::error::Error;
use std::fmt::{self, Display, Formatter, Write};

use crate::readable;

/// The error and all its causes on one line, as [`readable::error`] shows it.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    readable::error(&Chain(error))
}

struct Chain<'a>(&'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words {
            to: f,
            has_begun: false,
            is_between: false,
        };
        write!(words, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(words, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Puts one space between words: some causes have several lines, such as those
/// of wasmtime.
struct Words<'a, 'b> {
    to: &'a mut Formatter<'b>,
    has_begun: bool,
    is_between: bool,
}

impl Write for Words<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_whitespace() {
                self.is_between = self.has_begun;
                continue;
            }
            if self.is_between {
                self.to.write_char(' ')?;
            }
            (self.has_begun, self.is_between) = (true, false);
            self.to.write_char(c)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_is_one_short_line_whatever_it_quotes() {
        let quoted = io::Error::other(format!("no\u{1b}[31m\n  {}", "x".repeat(5000)));
        let text = chain(&quoted);
        assert!(text.starts_with(r"no\u{1b}[31m xxx"), "{text}");
        assert_eq!(text.chars().count(), readable::MAX_ERROR);
    }

    #[test]
    fn causes_follow_with_one_space_between_words() {
        #[derive(Debug, thiserror::Error)]
        #[error(" read\n\tit ")]
        struct Outer(#[source] io::Error);

        let error = Outer(io::Error::other("caf\u{e9}\r\n  \u{65e5}\u{672c}\n"));
        assert_eq!(chain(&error), "read it : caf\u{e9} \u{65e5}\u{672c}");
    }
}
