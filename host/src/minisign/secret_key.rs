//! Keys that sign.

use std::fmt;
use std::str::FromStr;

use blake2b_simd::Params;
use rand::Rng;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::encoding::{FormError, UNTRUSTED, decode, encode, key_line, take};
use super::key_id::KeyId;
use super::public_key::{ALGORITHM, PublicKey};
use super::signature::{Signature, prehash};

/// No password.
const PLAIN: [u8; 2] = [0; 2];
/// The checksum is a BLAKE2b.
const CHECKSUM: [u8; 2] = *b"B2";
/// The salt and the costs of what makes a key of a password.
const NO_PASSWORD: [u8; 48] = [0; 48];

/// A key that signs. It is not protected by a password.
pub(crate) struct SecretKey {
    id: KeyId,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// Never, in fact.
    pub(crate) fn generate() -> Result<Self, FormError> {
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        let mut random = rand::rng();
        random.fill_bytes(&mut id);
        random.fill_bytes(&mut seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| FormError::Other)?;
        Ok(Self {
            id: KeyId(id),
            seed,
            pair,
        })
    }

    /// The key that verifies its signatures.
    pub(crate) fn public_key(&self) -> PublicKey {
        let mut point = [0; 32];
        point.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, point }
    }

    /// Another key with the same name.
    #[cfg(test)]
    pub(crate) fn with_other_seed(&self) -> Result<Self, FormError> {
        let id = self.id;
        Self::generate().map(|other| Self { id, ..other })
    }

    /// Signs a file, and a comment of one line.
    pub(crate) fn sign(&self, file: &[u8], trusted_comment: String) -> Signature {
        let sign = |message: &[u8]| {
            let mut signature = [0; 64];
            signature.copy_from_slice(self.pair.sign(message).as_ref());
            signature
        };
        let mut signature = Signature {
            untrusted_comment: format!("signature from key {}", self.id),
            key: self.id,
            of_file: sign(&prehash(file)),
            trusted_comment,
            of_comment: [0; 64],
        };
        signature.of_comment = sign(&signature.with_comment());
        signature
    }

    /// The text of a file that minisign can use as well.
    pub(crate) fn file(&self) -> String {
        let point = self.public_key().point;
        let secret = [&self.seed[..], &point].concat();
        let checked = [&ALGORITHM[..], &self.id.0, &secret].concat();
        let checksum = Params::new().hash_length(32).hash(&checked);
        let key = encode(&[
            &ALGORITHM,
            &PLAIN,
            &CHECKSUM,
            &NO_PASSWORD,
            &self.id.0,
            &secret,
            checksum.as_bytes(),
        ]);
        format!("{UNTRUSTED}secret key {}\n{key}\n", self.id)
    }
}

impl FromStr for SecretKey {
    type Err = FormError;

    /// Parses the text of a file.
    fn from_str(text: &str) -> Result<Self, FormError> {
        let bytes: [u8; 158] = decode(key_line(text)?)?;
        let bytes = &mut &bytes[..];
        if take(bytes)? != ALGORITHM {
            return Err(FormError::Other);
        }
        if take(bytes)? != PLAIN {
            return Err(FormError::Encrypted);
        }
        // minisign writes no checksum for such keys; the public half is one.
        let _rest: [u8; CHECKSUM.len() + NO_PASSWORD.len()] = take(bytes)?;
        let (id, seed, point): ([u8; 8], [u8; 32], [u8; 32]) =
            (take(bytes)?, take(bytes)?, take(bytes)?);
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &point);
        Ok(Self {
            id: KeyId(id),
            seed,
            pair: pair.map_err(|_| FormError::Other)?,
        })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
