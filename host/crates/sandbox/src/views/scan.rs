//! What both forms of lines need to escape texts.

/// How many bytes are compared at once: a vector register of every processor
/// that this runs on.
const CHUNK: usize = 16;

/// The length of the longest prefix without a byte for which `is_special` is true. The
/// function should not branch, so that the compiler can use it on a whole chunk.
pub(super) fn plain_prefix(bytes: &[u8], is_special: impl Fn(u8) -> bool) -> usize {
    let holds_any = |chunk: &[u8; CHUNK]| {
        let all = chunk.iter();
        all.fold(false, |found, byte| found | is_special(*byte))
    };
    let (chunks, _) = bytes.as_chunks();
    let plain = chunks.iter().position(holds_any);
    // The last chunk overlaps with the one before, which is faster than going
    // through the rest byte by byte.
    if plain.is_none() && bytes.last_chunk().is_some_and(|last| !holds_any(last)) {
        return bytes.len();
    }
    let start = plain.unwrap_or(chunks.len()) * CHUNK;
    let rest = bytes.get(start..).unwrap_or_default();
    let special = rest.iter().position(|byte| is_special(*byte));
    start + special.unwrap_or(rest.len())
}

/// The last hexadecimal digit of a number, in lower case.
pub(super) fn hex(number: u32) -> u8 {
    char::from_digit(number % 16, 16).map_or(b'0', |digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        let is_special = |byte| byte == b'!';
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(plain_prefix(&bytes, is_special), length);
            for place in (0..length).rev() {
                bytes[place] = b'!';
                assert_eq!(plain_prefix(&bytes, is_special), place, "of {length}");
            }
        }
    }
}
