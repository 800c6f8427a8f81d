//! Splits Rust source text into tokens. Comments and white space are dropped,
//! so what a comment or a string mentions is never taken for code.

/// The kind of a token, as far as the checks need it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// An identifier or a keyword; a raw identifier without its `r#`.
    Word,
    /// A string literal of any kind, with its quotes.
    Text,
    /// `::`, or one character of any other punctuation.
    Mark,
    /// A character, a number or a lifetime.
    Other,
}

/// One token of a source text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// The line that it starts on, from 1.
    pub(crate) line: usize,
    /// The line that it ends on.
    pub(crate) last_line: usize,
}

impl Token<'_> {
    /// Whether this is the punctuation or the keyword `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// The tokens of `source` in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while !rest.is_empty() {
        let (kind, length) = head(rest);
        let (text, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let last_line = line + text.matches('\n').count();
        if let Some(kind) = kind {
            tokens.push(Token {
                kind,
                text: text
                    .strip_prefix("r#")
                    .filter(|_| kind == Kind::Word)
                    .unwrap_or(text),
                line,
                last_line,
            });
        }
        line = last_line;
        rest = tail;
    }
    tokens
}

/// The kind and length of the token that `rest` starts with; no kind for what
/// is dropped.
fn head(rest: &str) -> (Option<Kind>, usize) {
    if let Some(length) = blank(rest) {
        return (None, length);
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Text), length);
    }
    if let Some(length) = character(rest)
        .or_else(|| lifetime(rest))
        .or_else(|| number(rest))
    {
        return (Some(Kind::Other), length);
    }
    if let Some(length) = word(rest) {
        return (Some(Kind::Word), length);
    }
    if rest.starts_with("::") {
        return (Some(Kind::Mark), 2);
    }
    (
        Some(Kind::Mark),
        rest.chars().next().map_or(1, char::len_utf8),
    )
}

/// The length of leading white space, or of one comment.
fn blank(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let length = rest.len() - rest.trim_start().len();
    (length > 0).then_some(length)
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let step = if tail.starts_with("/*") {
            depth += 1;
            2
        } else if tail.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            tail.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string literal: plain, byte, C or raw.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    let is_raw = rest.get(..prefix)?.ends_with('r');
    let after = rest.get(prefix..)?;
    let hashes = if is_raw { after.find(|c| c != '#')? } else { 0 };
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let length = if is_raw {
        body.find(&format!("\"{}", "#".repeat(hashes)))? + 1 + hashes
    } else {
        escaped(body, '"')?
    };
    Some(prefix + hashes + 1 + length)
}

/// The length of a character literal, plain or byte.
fn character(rest: &str) -> Option<usize> {
    let prefix = usize::from(rest.starts_with("b'"));
    let body = rest.get(prefix..)?.strip_prefix('\'')?;
    let is_lifetime = !body.starts_with('\\') && body.chars().nth(1) != Some('\'');
    if is_lifetime {
        return None;
    }
    Some(prefix + 1 + escaped(body, '\'')?)
}

/// The length of `body` up to and including `quote`, past escaped ones.
fn escaped(body: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn lifetime(rest: &str) -> Option<usize> {
    Some(1 + word(rest.strip_prefix('\'')?)?)
}

/// The length of a number. A fraction belongs to it, a range or a field does
/// not.
fn number(rest: &str) -> Option<usize> {
    rest.starts_with(|c: char| c.is_ascii_digit())
        .then_some(())?;
    let whole = alphanumeric(rest);
    let fraction = rest
        .get(whole..)?
        .strip_prefix('.')
        .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
        .map_or(0, |digits| 1 + alphanumeric(digits));
    Some(whole + fraction)
}

fn word(rest: &str) -> Option<usize> {
    let prefix = if rest.starts_with("r#") { 2 } else { 0 };
    let name = rest.get(prefix..)?;
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        .then(|| prefix + alphanumeric(name))
}

/// The length of the letters, digits and underscores that `rest` starts with.
fn alphanumeric(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_dropped_and_lines_counted() {
        let found = tokens("a // use b;\n/* use c; /* nested */ */ d\n\"x\ny\" e");
        let seen: Vec<_> = found
            .iter()
            .map(|t| (t.text, t.line, t.last_line))
            .collect();
        assert_eq!(
            seen,
            [("a", 1, 1), ("d", 2, 2), ("\"x\ny\"", 3, 4), ("e", 4, 4)]
        );
    }

    #[test]
    fn strings_of_every_kind_are_one_token() {
        for literal in [
            r#""a \" use b;""#,
            r##"r#"a " b"#"##,
            r#"b"x""#,
            r##"br#"""#"##,
            r#"c"x""#,
            r#""""#,
        ] {
            assert_eq!(texts(&format!("({literal})")), ["(", literal, ")"]);
        }
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        assert_eq!(
            texts("'a' 'a, '\\'' b'\\\\' '\"' 'é'"),
            ["'a'", "'a", ",", "'\\''", "b'\\\\'", "'\"'", "'é'"]
        );
    }

    #[test]
    fn words_paths_and_numbers() {
        assert_eq!(
            texts("a::b r#type 0..5 1.5_f64 x.0.1 break"),
            [
                "a", "::", "b", "type", "0", ".", ".", "5", "1.5_f64", "x", ".", "0.1", "break"
            ]
        );
    }
}
