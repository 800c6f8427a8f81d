//! Base64 (RFC 4648, section 4), with padding.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let (first, second, third) = match chunk {
            [a] => (*a, 0, 0),
            [a, b] => (*a, *b, 0),
            [a, b, c, ..] => (*a, *b, *c),
            [] => continue,
        };
        let group = u32::from(first) << 16 | u32::from(second) << 8 | u32::from(third);
        for place in 0..4 {
            if place > chunk.len() {
                text.push('=');
                continue;
            }
            let digit = (group >> (18 - 6 * place)) & 63;
            let digit = DIGITS.get(digit as usize).copied().unwrap_or(b'=');
            text.push(char::from(digit));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn the_vectors_of_the_rfc_are_met() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        assert_eq!(encode(&[0, 255]), "AP8=");
        assert_eq!(encode(&[0xfb, 0xef, 0xff]), "++//");
    }
}
