//! Gzip (RFC 1952).

use miniz_oxide::deflate::compress_to_vec;

/// Fast rather than small: higher levels cost several times as much for a few
/// percent.
const LEVEL: u8 = 1;
/// Deflate, no flags, no time, the fastest algorithm, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
const CHECKSUMS: [u32; 256] = checksums();

/// Compresses bytes.
#[must_use]
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let deflated = compress_to_vec(bytes, LEVEL);
    let mut out = Vec::with_capacity(HEADER.len() + deflated.len() + 8);
    out.extend_from_slice(&HEADER);
    out.extend_from_slice(&deflated);
    out.extend_from_slice(&crc32(bytes).to_le_bytes());
    // The size modulo 2^32, as the RFC wants it.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}

/// Expands what [`compress`] or any other program made, up to `max` bytes. `None`
/// if it is not gzip without optional fields, damaged, or larger.
#[must_use]
pub fn expand(bytes: &[u8], max: usize) -> Option<Vec<u8>> {
    let (header, rest) = bytes.split_at_checked(HEADER.len())?;
    let (deflated, end) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    header.starts_with(&[0x1f, 0x8b, 8, 0]).then_some(())?;
    let out = miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, max).ok()?;
    let sums = [crc32(&out).to_le_bytes(), (out.len() as u32).to_le_bytes()];
    (end == sums.as_flattened()).then_some(out)
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let place = (sum as u8) ^ byte;
        let change = CHECKSUMS.get(usize::from(place)).copied();
        (sum >> 8) ^ change.unwrap_or_default()
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// What each byte adds to a checksum. RFC 1952, section 8.
const fn checksums() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                0xedb8_8320 ^ (sum >> 1)
            } else {
                sum >> 1
            };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "at compile time, within bounds")]
        {
            table[byte as usize] = sum;
        }
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn what_is_compressed_can_be_expanded() {
        for text in [String::new(), "a".repeat(100_000), "one\ntwo\n".to_owned()] {
            let compressed = compress(text.as_bytes());
            assert_eq!(expand(&compressed, 100_000).unwrap(), text.as_bytes());
            assert!(
                compressed.len() < text.len() / 50 + 40,
                "{}",
                compressed.len()
            );
        }
        let compressed = compress(&[7; 1000]);
        assert_eq!(expand(&compressed, 999), None);
        let mut damaged = compressed.clone();
        let last = damaged.len() - 5;
        damaged[last] ^= 1;
        assert_eq!(expand(&damaged, 1000), None);
        assert_eq!(expand(&compressed[..5], 1000), None);
    }
}
