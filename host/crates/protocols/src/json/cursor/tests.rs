//! What the cursor takes, and whether `serde_json` does.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Cursor, DEPTH_MAX, Kind};

/// What kind of value a text is, if it is one value and nothing else.
fn kind(json: &[u8]) -> Option<Kind> {
    let mut cursor = Cursor::new(json);
    let token = cursor.value().ok()?;
    cursor.peek().is_none().then_some(token.kind)
}

#[test]
fn values_are_told_apart() {
    for (json, expected) in [
        (&br#" "a" "#[..], Kind::Text),
        (b"\"a\tb\xff\"", Kind::Text),
        (br#""\"""#, Kind::Escaped),
        (b"-0.5E+7", Kind::Number),
        (b"\xef\xbb\xbfnull", Kind::Null),
        (br#"{"a":[1,{}], "b":"\u0041"}"#, Kind::Nested),
        (b"[1 , ]", Kind::Loose),
        (br#"{"a":1,}"#, Kind::Loose),
        (br#"{"a\x":[]}"#, Kind::Loose),
        (b"{\"a\n\":[]}", Kind::Loose),
        (b"[[NaN]]", Kind::Loose),
        (b"-Infinity", Kind::Loose),
    ] {
        assert_eq!(kind(json), Some(expected), "{json:?}");
    }
}

#[test]
fn what_is_no_value_names_the_place() {
    for (json, fault) in [
        ("", "a value at byte 0"),
        ("{\"a\" 1}", "a colon at byte 5"),
        ("{\"a\":1 \"b\":2}", "a comma or } at byte 7"),
        ("[1 2]", "a comma or ] at byte 3"),
        ("[1,,]", "a value at byte 3"),
        ("{,}", "a string at byte 1"),
        ("{1:2}", "a string at byte 1"),
        ("\"abc", "a closing quote at byte 4"),
        ("\"abc\\", "a closing quote at byte 5"),
        ("\"abc\\\"", "a closing quote at byte 6"),
        ("tru", "true at byte 0"),
        ("-", "a digit at byte 1"),
        ("1.", "a digit at byte 2"),
        ("1e+", "a digit at byte 3"),
        ("{\"a\":", "a value at byte 5"),
    ] {
        let message = Cursor::new(json.as_bytes())
            .value()
            .unwrap_err()
            .to_string();
        assert_eq!(message, format!("not JSON: expected {fault}"));
    }
}

#[test]
fn what_is_nested_too_deep_is_stepped_over_without_recursion() {
    let nested = |depth: usize| format!("{}\"]\"{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(kind(nested(DEPTH_MAX).as_bytes()), Some(Kind::Nested));
    for depth in [DEPTH_MAX + 1, 1 << 20] {
        assert_eq!(kind(nested(depth).as_bytes()), Some(Kind::Loose));
        let object = format!("{{\"a\":{},\"b\":NaN}}", nested(depth));
        assert_eq!(kind(object.as_bytes()), Some(Kind::Loose));
    }
    assert_eq!(kind("{\"a\":".repeat(1 << 20).as_bytes()), None);
}

/// Pieces that matter to it.
const PIECES: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "\\n", "00", "1", "-",
    ".", "e", "+", "true", "null", "NaN", " ", "\n", "\u{1}", "é", "\"a\":", "\"b\"", "[]", "{}",
    "[1,", "{\"k\":",
];

#[test]
fn whatever_serde_json_takes_is_taken_and_whatever_is_strict_is_taken_by_it() {
    let (mut strict, mut loose) = (0, 0);
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..200_000 {
        let mut text = Vec::new();
        for _ in 0..rng.random_range(1..12) {
            text.extend(PIECES[rng.random_range(0..PIECES.len())].as_bytes());
        }
        if rng.random_bool(0.05) {
            text.push(rng.random());
        }
        let reference = serde_json::from_slice::<serde_json::Value>(&text);
        match (kind(&text), reference) {
            (None, Ok(value)) => panic!("{value} is not taken"),
            (Some(Kind::Nested | Kind::True | Kind::Null), Err(error)) => {
                // A number may be beyond any float; bytes may be no text.
                let is_text = std::str::from_utf8(&text).is_ok();
                assert!(
                    !is_text || error.to_string().contains("number out of range"),
                    "{:?}: {error}",
                    String::from_utf8_lossy(&text)
                );
            }
            (Some(_), Ok(_)) => strict += 1,
            (Some(_), Err(_)) => loose += 1,
            (None, Err(_)) => {}
        }
    }
    assert!(strict > 1000 && loose > 500, "{strict} {loose}");
}
