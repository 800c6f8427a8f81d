//! Finds what a JSON string has to escape, eight bytes at a time: the bytes of messages
//! are most of what a sink goes through.

const WORD: usize = 8;
/// A one in each byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// The highest bit of each byte of a word.
const HIGH: u64 = ONES << 7;
/// The first byte that is no control character.
const SPACE: u8 = 0x20;

/// Whether a byte has to be escaped (RFC 8259, 7).
const fn is_special(byte: u8) -> bool {
    (byte < SPACE) | (byte == b'"') | (byte == b'\\')
}

/// How many bytes come before the first one that has to be escaped.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<WORD>();
    let plain = words.iter().take_while(|word| !has_special(**word));
    let from = plain.count() * WORD;
    let rest = bytes.get(from..).unwrap_or_default();
    let place = rest.iter().position(|byte| is_special(*byte));
    from + place.unwrap_or(rest.len())
}

/// Whether one of the bytes has to be escaped, by
/// <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>.
const fn has_special(bytes: [u8; WORD]) -> bool {
    let word = u64::from_le_bytes(bytes);
    let control = less_than(word, SPACE);
    let quote = less_than(word ^ (ONES * b'"' as u64), 1);
    let backslash = less_than(word ^ (ONES * b'\\' as u64), 1);
    (control | quote | backslash) & HIGH != 0
}

/// A word with a high bit, if a byte is less than the limit, which is at most 128. The
/// place of the bit can be wrong.
const fn less_than(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_in_every_place() {
        for byte in 0..=u8::MAX {
            for length in 0..20 {
                for other in [b' ', b'!', b'#', b'~', 0x80, 0xff] {
                    let mut bytes = vec![other; length];
                    assert_eq!(plain_length(&bytes), length);
                    for place in 0..length {
                        bytes[place] = byte;
                        let expected = if is_special(byte) { place } else { length };
                        assert_eq!(plain_length(&bytes), expected, "{bytes:?}");
                        bytes[place] = other;
                    }
                }
            }
        }
    }
}
