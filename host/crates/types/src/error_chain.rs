//! An error as text.

use crate::readable;

/// The error and all its causes on one line, as [`readable::error`] shows it.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    // Some causes have several lines, such as those of wasmtime.
    let words: Vec<_> = text.split_whitespace().collect();
    readable::error(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_short_line_whatever_it_quotes() {
        let quoted = std::io::Error::other(format!("no\u{1b}[31m\n  {}", "x".repeat(5000)));
        let text = chain(&quoted);
        assert!(text.starts_with(r"no\u{1b}[31m xxx"), "{text}");
        assert_eq!(text.chars().count(), readable::MAX_ERROR);
    }
}
