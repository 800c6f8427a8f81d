//! Digits.

/// Bytes in lower-case hex.
pub(crate) fn text(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(digit);
    bytes.iter().flat_map(digits).collect()
}

fn digit(number: u8) -> char {
    let digit = char::from_digit(u32::from(number), 16);
    digit.unwrap_or('0')
}
