//! Finds the end of what needs no look in a string, eight bytes at a time.

/// How many bytes come before the first quote, backslash or control character.
#[inline(always)]
pub(super) fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, later)) = rest.split_first_chunk::<8>() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
        rest = later;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The lowest bit that is set is the highest of the first of eight bytes that is
/// a quote, a backslash or a control character. Those above it mean nothing.
#[inline(always)]
const fn special(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * EACH;
    let backslash = word ^ (b'\\' as u64 * EACH);
    let is_backslash = backslash.wrapping_sub(EACH) & !backslash;
    // The quote is 0x22. With this bit flipped it is the first behind the control
    // characters, which stay among themselves.
    let flipped = word ^ (0x02 * EACH);
    let is_quote_or_control = flipped.wrapping_sub(0x21 * EACH) & !flipped;
    (is_backslash | is_quote_or_control) & HIGHEST
}
