//! SipHash-1-3 with a result of 128 bits, as Aumasson and Bernstein define it. The
//! standard library has the same function with 64 bits and no way to choose the key.

/// Hashes what is written to it.
#[derive(Clone, Debug)]
pub(super) struct SipHash {
    v: [u64; 4],
    /// Bytes that do not fill a block yet, the first one lowest.
    tail: u64,
    /// How many bytes were written.
    length: u64,
}

const BLOCK_BYTES: usize = 8;

impl SipHash {
    pub(super) const fn new(key: [u64; 2]) -> Self {
        let [first, second] = key;
        Self {
            v: [
                first ^ 0x736f_6d65_7073_6575,
                second ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                first ^ 0x6c79_6765_6e65_7261,
                second ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            length: 0,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        // A block that was begun needs so many bytes more.
        let begun = usize::try_from(self.length).unwrap_or(usize::MAX) % BLOCK_BYTES;
        let missing = (BLOCK_BYTES - begun) % BLOCK_BYTES;
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        self.fill(head);
        let (blocks, tail) = rest.as_chunks::<BLOCK_BYTES>();
        for block in blocks {
            self.block(u64::from_le_bytes(*block));
        }
        self.length = self.length.wrapping_add((rest.len() - tail.len()) as u64);
        self.fill(tail);
    }

    pub(super) fn finish(mut self) -> [u64; 2] {
        self.block(self.tail | self.length << 56);
        self.v[2] ^= 0xee;
        let first = self.finalize();
        self.v[1] ^= 0xdd;
        [first, self.finalize()]
    }

    /// Adds bytes to a block that they do not go beyond.
    fn fill(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.tail |= u64::from(*byte) << (8 * (self.length % 8));
            self.length = self.length.wrapping_add(1);
            if self.length.is_multiple_of(8) {
                let block = std::mem::take(&mut self.tail);
                self.block(block);
            }
        }
    }

    fn block(&mut self, block: u64) {
        self.v[3] ^= block;
        self.round();
        self.v[0] ^= block;
    }

    fn finalize(&mut self) -> u64 {
        for _ in 0..3 {
            self.round();
        }
        let [a, b, c, d] = self.v;
        a ^ b ^ c ^ d
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the authors' test vectors, `00 01 … 0f`.
    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    fn hash(pieces: &[&[u8]]) -> String {
        let mut hash = SipHash::new(KEY);
        pieces.iter().for_each(|piece| hash.write(piece));
        let [first, second] = hash.finish();
        hex::encode([first.to_le_bytes(), second.to_le_bytes()].concat())
    }

    #[test]
    fn it_is_what_openssl_computes() {
        // openssl mac -macopt c-rounds:1 -macopt d-rounds:3 -macopt size:16 … SIPHASH
        let bytes: Vec<u8> = (0..63).collect();
        for (length, expected) in [
            (0, "e77ebcb22788a5befd62db6add303001"),
            (1, "fc6f370460d3eda85e0573cc2b2ff063"),
            (7, "1084b923f2aae0c3a62f2ec80848ab77"),
            (8, "aa12fee1d5e3dab4724f16ab35f9c799"),
            (15, "c17e5505b2bd526c2921cdec1e7e0109"),
            (16, "d0a8d95715518eebb513b0f83d9e1793"),
            (63, "4c5800e34efe426f079f6b0aa75260ad"),
        ] {
            assert_eq!(hash(&[&bytes[..length]]), expected, "{length}");
        }
    }

    #[test]
    fn the_pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..63).collect();
        let whole = hash(&[&bytes]);
        for first in 0..bytes.len() {
            for second in first..bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(hash(&pieces), whole);
            }
        }
    }
}
