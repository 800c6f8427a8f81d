//! The text form: one line per record with only its body.

use sluice_types::record::LogRecord;

use super::room::{TooLarge, check};
use super::scan::{hex, plain_prefix};

/// What escapes usually add, as a part of the text.
const ESCAPED_PART: usize = 16;

/// The view `text-lines`, as `wit/0.2/sink.wit` defines it.
///
/// # Errors
/// It takes more than `most` bytes.
pub fn text_lines(records: &[LogRecord], most: usize) -> Result<Vec<u8>, TooLarge> {
    let plain = records.iter().map(|record| record.body.len() + 1).sum();
    check(plain, most)?;
    // A few escapes, such as tabs, should not make it grow.
    let mut out = Vec::with_capacity((plain + plain / ESCAPED_PART).min(most));
    for record in records {
        line(&record.body, &mut out);
        check(out.len(), most)?;
    }
    Ok(out)
}

/// Whether a character that is escaped can start with this byte: C0 and DEL, the
/// first byte of C1, and that of U+2028 and U+2029.
const fn may_be_unsafe(byte: u8) -> bool {
    (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2) | (byte == 0xe2)
}

fn line(body: &str, out: &mut Vec<u8>) {
    let mut rest = body.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_prefix(rest, may_be_unsafe));
        out.extend_from_slice(plain);
        rest = match from {
            [] => break,
            [0xc2, second @ 0x80..=0x9f, after @ ..] => {
                escape(u32::from(*second), out);
                after
            }
            [0xe2, 0x80, third @ 0xa8..=0xa9, after @ ..] => {
                escape(0x2028 + u32::from(third - 0xa8), out);
                after
            }
            // It starts another character.
            [first @ (0xc2 | 0xe2), after @ ..] => {
                out.push(*first);
                after
            }
            [control, after @ ..] => {
                escape(u32::from(*control), out);
                after
            }
        };
    }
    out.push(b'\n');
}

fn escape(character: u32, out: &mut Vec<u8>) {
    match character {
        0x09 => out.extend_from_slice(br"\t"),
        0x0a => out.extend_from_slice(br"\n"),
        0x0d => out.extend_from_slice(br"\r"),
        _ => {
            out.extend_from_slice(br"\u{");
            let bits = u32::BITS - character.leading_zeros();
            let digits = bits.div_ceil(4).max(1);
            out.extend((0..digits).rev().map(|place| hex(character >> (4 * place))));
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::Text;

    fn text_of(body: &str) -> String {
        let record = LogRecord::with_body(Text::from(body), 0);
        String::from_utf8(text_lines(&[record], usize::MAX).unwrap()).unwrap()
    }

    /// Whether a character could end a line, move a cursor or color a terminal.
    fn is_unsafe(character: char) -> bool {
        character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
    }

    #[test]
    fn plain_text_is_untouched() {
        for body in [
            "Message: 1",
            "Grüße, 世界 C:\\new â€ § “long enough for a chunk”",
            "",
        ] {
            assert_eq!(text_of(body), format!("{body}\n"));
        }
    }

    #[test]
    fn no_body_can_forge_a_line() {
        assert_eq!(text_of("a\nb\r\nc\td"), "a\\nb\\r\\nc\\td\n");
        assert_eq!(
            text_of("\u{1b}[31mred\u{7f}\0"),
            "\\u{1b}[31mred\\u{7f}\\u{0}\n"
        );
        assert_eq!(
            text_of("x\u{85}y\u{2028}z\u{2029}"),
            "x\\u{85}y\\u{2028}z\\u{2029}\n"
        );
    }

    #[test]
    fn every_character_gives_one_line() {
        for character in (0..=0x0011_0000_u32).filter_map(char::from_u32) {
            let escaped = character.escape_default();
            let expected = if is_unsafe(character) {
                format!("{escaped}\n")
            } else {
                format!("{character}\n")
            };
            assert_eq!(text_of(&character.to_string()), expected);
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_refused() {
        let records = [LogRecord::with_body(Text::from_static("ab\0"), 0)];
        assert!(text_lines(&records, 3).is_err());
        assert!(text_lines(&records, 7).is_err());
        assert_eq!(text_lines(&records, 8).unwrap(), b"ab\\u{0}\n");
    }
}
