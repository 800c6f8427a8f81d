//! Finds what is compiled for tests only, so that it can be ignored.

use crate::lexer::{Kind, Token};

/// Items that end with a semicolon, whatever braces they contain.
const ENDED_BY_SEMICOLON: [&str; 5] = ["const", "let", "static", "type", "use"];

/// Keywords that start an item that a comma does not end.
const ITEMS: [&str; 10] = [
    "async", "enum", "extern", "fn", "impl", "mod", "pub", "struct", "trait", "unsafe",
];

/// Source text without its tests.
#[derive(Debug)]
pub(crate) struct Code<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    /// The number of lines that belong to tests.
    pub(crate) test_lines: usize,
}

/// Removes the items under `#[cfg(test)]` and `#[test]` from `tokens`, and
/// everything under `#![cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Code<'a> {
    let mut code = Code {
        tokens: Vec::with_capacity(tokens.len()),
        test_lines: 0,
    };
    let mut rest = tokens;
    while let Some((first, tail)) = rest.split_first() {
        let Some(attribute) = attribute(rest).filter(|attribute| attribute.is_test) else {
            code.tokens.push(*first);
            rest = tail;
            continue;
        };
        let length = if attribute.is_inner {
            rest.len()
        } else {
            attribute.length + item(rest.get(attribute.length..).unwrap_or_default())
        };
        let (test, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        code.test_lines += lines(test);
        rest = tail;
    }
    code
}

/// The number of tokens in the group that `tokens` starts with, including both
/// brackets.
pub(crate) fn group(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if is_opening(token) {
            depth += 1;
        } else if is_closing(token) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

pub(crate) fn is_opening(token: &Token<'_>) -> bool {
    ["(", "[", "{"].iter().any(|mark| token.is(mark))
}

pub(crate) fn is_closing(token: &Token<'_>) -> bool {
    [")", "]", "}"].iter().any(|mark| token.is(mark))
}

fn lines(tokens: &[Token<'_>]) -> usize {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => last.last_line + 1 - first.line,
        _ => 0,
    }
}

struct Attribute {
    is_test: bool,
    /// Whether it is an inner attribute: `#![…]`.
    is_inner: bool,
    /// In tokens.
    length: usize,
}

/// The attribute that `tokens` starts with.
fn attribute(tokens: &[Token<'_>]) -> Option<Attribute> {
    let (hash, tail) = tokens.split_first()?;
    hash.is("#").then_some(())?;
    let is_inner = tail.first()?.is("!");
    let start = 1 + usize::from(is_inner);
    let body = tokens.get(start..)?;
    body.first()?.is("[").then_some(())?;
    let length = group(body);
    let text: String = body.get(..length)?.iter().map(|token| token.text).collect();
    Some(Attribute {
        is_test: is_test(&text),
        is_inner,
        length: start + length,
    })
}

/// Whether the attribute, written without spaces, marks test code.
fn is_test(attribute: &str) -> bool {
    let inner = attribute.trim_start_matches('[').trim_end_matches(']');
    let is_all = inner.strip_prefix("cfg(all(").is_some_and(|list| {
        list.trim_end_matches(')')
            .split(',')
            .any(|part| part == "test")
    });
    let path = inner.split('(').next().unwrap_or(inner);
    inner == "cfg(test)" || is_all || path == "test" || path.ends_with("::test")
}

/// The number of tokens in the item that `tokens` starts with, including its
/// further attributes. It may be a statement, a field, a variant or an arm.
fn item(tokens: &[Token<'_>]) -> usize {
    let mut at = 0;
    while let Some(attribute) = tokens.get(at..).and_then(attribute) {
        at += attribute.length;
    }
    let body = tokens.get(at..).unwrap_or_default();
    at + end_of_item(body)
}

fn end_of_item(body: &[Token<'_>]) -> usize {
    let needs_semicolon = needs_semicolon(body);
    let is_item = begins_with(body, &ITEMS);
    let mut at = 0;
    while let Some(token) = body.get(at) {
        if is_closing(token) {
            return at;
        }
        if token.is(";") || (token.is(",") && !is_item && !needs_semicolon) {
            return at + 1;
        }
        let is_block = token.is("{");
        at += if is_opening(token) {
            group(body.get(at..).unwrap_or_default())
        } else {
            1
        };
        if is_block && !needs_semicolon {
            return at;
        }
    }
    body.len()
}

/// `const fn` has a body, any other constant ends with a semicolon.
fn needs_semicolon(body: &[Token<'_>]) -> bool {
    let mut words = body
        .iter()
        .filter(|token| token.kind == Kind::Word && !is_visibility(token));
    let first = words.next();
    let second = words.next();
    let is_function = ["fn", "unsafe", "async", "extern"]
        .iter()
        .any(|word| second.is_some_and(|token| token.is(word)));
    first.is_some_and(|token| ENDED_BY_SEMICOLON.contains(&token.text))
        && !(first.is_some_and(|token| token.is("const")) && is_function)
}

fn is_visibility(token: &Token<'_>) -> bool {
    ["pub", "crate", "super", "in"].contains(&token.text)
}

fn begins_with(body: &[Token<'_>], words: &[&str]) -> bool {
    body.first()
        .is_some_and(|token| token.kind == Kind::Word && words.contains(&token.text))
        || body.first().is_some_and(|token| token.is("const"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn kept(source: &str) -> (String, usize) {
        let tokens = tokens(source);
        let code = without_tests(&tokens);
        let words: Vec<&str> = code.tokens.iter().map(|token| token.text).collect();
        (words.join(" "), code.test_lines)
    }

    #[test]
    fn items_of_tests_are_taken_out_whole() {
        for test in [
            "#[cfg(test)]\nmod tests { fn f() {} }",
            "#[cfg(test)] #[path = \"x.rs\"]\nmod tests;",
            "#[cfg(all(test, unix))]\nuse a::{b, c};",
            "#[test]\nfn f() -> Result<A, B> { g(); }",
            "#[tokio::test(start_paused = true)]\nasync fn f() {}",
            "#[cfg(test)]\nimpl A<B, C> for D {}",
            "#[cfg(test)]\nconst A: [u8; 2] = { [1, 2] };",
            "#[cfg(test)]\npub(crate) const fn f() {}",
            "#[cfg(test)]\nlet a = if b { c } else { d };",
        ] {
            assert_eq!(
                kept(&format!("a;\n{test}\nfn z() {{}}")),
                ("a ; fn z ( ) { }".to_owned(), 2),
                "{test}"
            );
        }
    }

    #[test]
    fn fields_and_arms_of_tests_are_taken_out() {
        assert_eq!(
            kept("struct A { a: B, #[cfg(test)] c: D<E>, f: G }").0,
            "struct A { a : B , f : G }"
        );
        assert_eq!(
            kept("struct A { a: B, #[cfg(test)] c: D }").0,
            "struct A { a : B , }"
        );
    }

    #[test]
    fn what_is_also_compiled_without_tests_stays() {
        for source in [
            "# [ cfg ( not ( test ) ) ] fn f ( ) { }",
            "# [ cfg ( any ( test , unix ) ) ] mod a ;",
            "# [ must_use ] fn f ( ) { }",
        ] {
            assert_eq!(kept(source), (source.to_owned(), 0));
        }
    }

    #[test]
    fn a_file_that_is_a_test_has_no_code() {
        assert_eq!(kept("#![cfg(test)]\nuse a;\nfn f() {}"), (String::new(), 3));
    }
}
