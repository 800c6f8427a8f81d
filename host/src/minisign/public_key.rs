//! Keys that verify.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};

use super::encoding::{FormError, UNTRUSTED, decode, encode, key_line, take};
use super::key_id::KeyId;
use super::signature::Signature;

/// What a key begins with: Ed25519.
pub(super) const ALGORITHM: [u8; 2] = *b"Ed";

/// A key that verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(super) id: KeyId,
    pub(super) point: [u8; 32],
}

impl PublicKey {
    /// The name of the key pair.
    #[must_use]
    pub(crate) const fn id(&self) -> KeyId {
        self.id
    }

    /// The text of a file that minisign can use as well.
    #[must_use]
    pub(crate) fn file(&self) -> String {
        format!("{UNTRUSTED}public key {}\n{self}\n", self.id)
    }

    /// Whether this key signed a file with this digest, and the trusted comment.
    #[must_use]
    pub(crate) fn verifies(&self, signature: &Signature, prehash: &[u8; 64]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.point);
        let has_signed = |message: &[u8], by: &[u8; 64]| key.verify(message, by).is_ok();
        self.id == signature.key()
            && has_signed(prehash, &signature.of_file)
            && has_signed(&signature.with_comment(), &signature.of_comment)
    }
}

impl FromStr for PublicKey {
    type Err = FormError;

    /// Parses the line of base64, alone or below its comment.
    fn from_str(text: &str) -> Result<Self, FormError> {
        let bytes: [u8; 42] = decode(key_line(text)?)?;
        let bytes = &mut &bytes[..];
        if take(bytes)? != ALGORITHM {
            return Err(FormError::Other);
        }
        Ok(Self {
            id: KeyId(take(bytes)?),
            point: take(bytes)?,
        })
    }
}

impl fmt::Display for PublicKey {
    /// Writes the line of base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&[&ALGORITHM, &self.id.0, &self.point]))
    }
}
