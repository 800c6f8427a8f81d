//! Strings in JSON.

use super::scan::{hex, plain_prefix};

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Appends the text as a string, with its quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_prefix(rest, is_special));
        out.extend_from_slice(plain);
        let Some((special, after)) = from.split_first() else {
            break;
        };
        escape(*special, out);
        rest = after;
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => {
            let number = u32::from(byte);
            out.extend_from_slice(br"\u00");
            return out.extend_from_slice(&[hex(number >> 4), hex(number)]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_written_as_serde_json_does() {
        for character in (0..=0x0011_0000_u32).filter_map(char::from_u32) {
            let text = format!("a{character}");
            let mut out = Vec::new();
            string(&text, &mut out);
            assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{character:?}");
        }
    }
}
