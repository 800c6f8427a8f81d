//! The escapes of JSON strings.

/// Appends the content of a JSON string with its escapes resolved. That is never
/// longer than the string. An escape that means nothing stays as it is, and half
/// of a surrogate pair becomes a replacement character.
pub(crate) fn unescape(mut string: &[u8], into: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', string) {
        let (plain, escape) = string.split_at_checked(at).unwrap_or_default();
        into.extend_from_slice(plain);
        string = one(escape, into);
    }
    into.extend_from_slice(string);
}

/// Whether every escape in a JSON string means something.
pub(crate) fn is_strict(mut string: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'\\', string) {
        string = match string.get(at + 1..) {
            Some(
                [
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    rest @ ..,
                ],
            ) => rest,
            Some([b'u', rest @ ..]) => match unicode(rest) {
                Some((Some(_), rest)) => rest,
                _ => return false,
            },
            _ => return false,
        };
    }
    true
}

/// Resolves the escape that is at the start, and returns what is behind it.
fn one<'a>(string: &'a [u8], into: &mut Vec<u8>) -> &'a [u8] {
    let [b'\\', kind, rest @ ..] = string else {
        into.extend_from_slice(string);
        return &[];
    };
    let byte = match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' if let Some((character, rest)) = unicode(rest) => {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut utf8 = [0; 4];
            into.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            return rest;
        }
        _ => {
            into.extend_from_slice(&[b'\\', *kind]);
            return rest;
        }
    };
    into.push(byte);
    rest
}

/// The character whose four digits are at the start, with those of its other
/// half if it is a surrogate, and what is behind them. No character if the other
/// half is missing.
fn unicode(string: &[u8]) -> Option<(Option<char>, &[u8])> {
    let (unit, rest) = hex(string)?;
    if let Some(character) = char::from_u32(u32::from(unit)) {
        return Some((Some(character), rest));
    }
    let pair = rest.strip_prefix(b"\\u").and_then(hex);
    let character = pair.and_then(|(low, rest)| {
        let decoded = char::decode_utf16([unit, low]).next()?;
        Some((Some(decoded.ok()?), rest))
    });
    Some(character.unwrap_or((None, rest)))
}

fn hex(string: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = string.split_at_checked(4)?;
    let mut unit = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(string: &str) -> String {
        let mut bytes = Vec::new();
        unescape(string.as_bytes(), &mut bytes);
        assert!(bytes.len() <= string.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_escape_is_resolved() {
        assert!(is_strict(br#"a\"\\\/\b\f\n\r\t\u20AC\ud83d\uDE00\ufffd"#));
        assert_eq!(
            unescaped(r#"a\"\\\/\b\f\n\r\tz"#),
            "a\"\\/\u{8}\u{c}\n\r\tz"
        );
        assert_eq!(unescaped(r"\u003e\u00262\u20AC\ud83d\uDE00!"), ">&2€😀!");
    }

    #[test]
    fn half_a_pair_is_replaced_and_keeps_what_follows() {
        assert!(!is_strict(br"\ud83d") && !is_strict(br"\ud83d\u0041"));
        assert_eq!(unescaped(r"\ud83d"), "\u{fffd}");
        assert_eq!(unescaped(r"\ud83dx"), "\u{fffd}x");
        assert_eq!(unescaped(r"\ud83d\n"), "\u{fffd}\n");
        assert_eq!(unescaped(r"\ude00\u0041"), "\u{fffd}A");
        assert_eq!(unescaped(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for string in [r"\x41", r"\u12", r"\u12g4", r"\u+123", r"a\", r"\'"] {
            assert_eq!(unescaped(string), string);
            assert!(!is_strict(string.as_bytes()));
        }
    }
}
