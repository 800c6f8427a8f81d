//! Shortens texts from outside before they are repeated to somebody.

use std::borrow::Cow;

/// The most characters of a reason why a record was not accepted.
pub const REASON_CHARS: usize = 200;

/// The text if it has at most `chars` characters; otherwise the first of them
/// and an ellipsis, together `chars` characters.
#[must_use]
pub fn excerpt(text: &str, chars: usize) -> Cow<'_, str> {
    // No text has more characters than bytes.
    if text.len() <= chars || text.chars().nth(chars).is_none() {
        return Cow::Borrowed(text);
    }
    let shortened = text.chars().take(chars.saturating_sub(1)).chain(['…']);
    Cow::Owned(shortened.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_characters_not_bytes() {
        assert_eq!(excerpt("", 3), "");
        assert_eq!(excerpt("abc", 3), "abc");
        assert_eq!(excerpt("abcd", 3), "ab…");
        assert_eq!(excerpt("ééé", 3), "ééé");
        assert_eq!(excerpt("éééé", 3), "éé…");
        assert_eq!(excerpt(&"x".repeat(1 << 20), 200).chars().count(), 200);
    }
}
