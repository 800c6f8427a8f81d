//! What makes two requests the same.

use super::siphash::SipHash;

/// A keyed hash of 128 bits of everything that must be the same in a repeat.
pub(super) type Hash = [u64; 2];

/// Names requests and their parts.
///
/// The key must be secret and random: then nobody can make two identities equal
/// on purpose. By chance, one is taken for another of `n` that are remembered with
/// a probability of `n` / 2^128: with 100,000 of them and a million requests a
/// second, once in 10^19 years. Code that keeps identities must keep the key too.
#[derive(Clone, Copy)]
pub struct Names {
    key: [u64; 2],
}

/// Names something that a client sent. Two are equal only if all that they were
/// made of is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) hash: Hash,
    pub(super) kind: Kind,
}

/// How something is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By an id that its client gave it.
    Id,
    /// By its bytes.
    Body,
}

impl Names {
    /// With this key of random bytes.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        #[expect(clippy::cast_possible_truncation, reason = "each is a half of the key")]
        Self {
            key: [key as u64, (key >> 64) as u64],
        }
    }

    /// Names what a client sends under an id of its own: the part at this index of
    /// the chunk, frame or request with this id. `client` is the client that the
    /// id comes from, as the token or the address says.
    #[must_use]
    pub fn id(
        &self,
        client: &str,
        protocol: &str,
        id: &[u8],
        index: u64,
        content: &[u8],
    ) -> Identity {
        let index = index.to_le_bytes();
        let parts = [
            b"id",
            client.as_bytes(),
            protocol.as_bytes(),
            id,
            &index,
            content,
        ];
        self.name(Kind::Id, parts)
    }

    /// Names a body without an id, that a client sends to this path.
    #[must_use]
    pub fn body(&self, client: &str, path: &str, body: &[u8]) -> Identity {
        self.name(
            Kind::Body,
            [b"body", client.as_bytes(), path.as_bytes(), body],
        )
    }

    /// Each part has its length in front, so that no two lists hash the same bytes.
    fn name<const N: usize>(&self, kind: Kind, parts: [&[u8]; N]) -> Identity {
        let mut hash = SipHash::new(self.key);
        for part in parts {
            hash.write(&(part.len() as u64).to_le_bytes());
            hash.write(part);
        }
        let hash = hash.finish();
        Identity { hash, kind }
    }
}

impl Identity {
    /// What [`super::Repeats::restore`] takes, to keep it elsewhere.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let [first, second] = self.hash;
        (u128::from(first) | u128::from(second) << 64).to_le_bytes()
    }

    /// The identity with an id that became these bytes.
    pub(super) const fn of_id(bytes: [u8; 16]) -> Self {
        Self {
            hash: Names::new(bytes).key,
            kind: Kind::Id,
        }
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_names_a_part_matters() {
        let names = Names::new([7; 16]);
        let mut all = vec![
            names.id("client", "forward", b"chunk", 0, b"content"),
            names.id("clien", "tforward", b"chunk", 0, b"content"),
            names.id("client", "syslog", b"chunk", 0, b"content"),
            names.id("client", "forward", b"chunkc", 0, b"ontent"),
            names.id("client", "forward", b"chunk", 1, b"content"),
            names.id("client", "forward", b"chunk", 0, b"contenu"),
            names.body("client", "/path", b"content"),
            names.body("client", "/pathc", b"ontent"),
            names.body("clien", "t/path", b"content"),
            Names::new([8; 16]).body("client", "/path", b"content"),
        ];
        assert_eq!(
            names.id("client", "forward", b"chunk", 0, b"content"),
            all[0]
        );
        all.sort_by_key(|identity| identity.hash);
        assert!(all.windows(2).all(|pair| pair[0].hash != pair[1].hash));
    }

    #[test]
    fn an_identity_can_be_kept_and_read_again() {
        let id = Names::new([7; 16]).id("c", "p", b"i", 1, b"x");
        assert_eq!(Identity::of_id(id.to_bytes()), id);
    }
}
