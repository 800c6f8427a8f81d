//! Gzip (RFC 1952).

use miniz_oxide::deflate::compress_to_vec;

/// Fast rather than small: higher levels cost several times as much for a few
/// percent.
const LEVEL: u8 = 1;
/// Deflate, no flags, no time, the fastest algorithm, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
static CHECKSUMS: [[u32; 256]; 8] = checksums();

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

/// The checksum of RFC 1952, section 8, eight bytes at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let sum = chunks.iter().fold(u32::MAX, |sum, chunk| {
        let [a, b, c, d, after @ ..] = chunk;
        let sum = (sum ^ u32::from_le_bytes([*a, *b, *c, *d])).to_le_bytes();
        let bytes = sum.iter().chain(after);
        let tables = CHECKSUMS.iter().rev();
        tables
            .zip(bytes)
            .fold(0, |all, (table, byte)| all ^ change(table, *byte))
    });
    let [one, ..] = &CHECKSUMS;
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ change(one, (sum as u8) ^ byte);
    !rest.iter().fold(sum, step)
}

fn change(table: &[u32; 256], byte: u8) -> u32 {
    let found = table.get(usize::from(byte)).copied();
    found.unwrap_or_default()
}

/// What a byte adds to a checksum, and in table `n`, what it adds when `n` more bytes
/// follow it.
const fn checksums() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 64 {
            sum = if sum & 1 == 1 {
                0xedb8_8320 ^ (sum >> 1)
            } else {
                sum >> 1
            };
            bit += 1;
            #[expect(clippy::indexing_slicing, reason = "at compile time, within bounds")]
            if bit % 8 == 0 {
                tables[bit / 8 - 1][byte] = sum;
            }
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        let text = b"The quick brown fox jumps over the lazy dog";
        assert_eq!(crc32(text), 0x414f_a339);
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
