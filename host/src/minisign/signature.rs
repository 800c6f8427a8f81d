//! Signatures of files.

use std::fmt;
use std::str::FromStr;

use blake2b_simd::blake2b;

use super::encoding::{FormError, UNTRUSTED, decode, encode, take};
use super::key_id::KeyId;

const TRUSTED: &str = "trusted comment: ";
/// Ed25519 over a file's BLAKE2b-512.
const ALGORITHM: [u8; 2] = *b"ED";
/// Ed25519 over the file itself.
const LEGACY_ALGORITHM: [u8; 2] = *b"Ed";

/// A signature of a file and of a comment, as in a `.minisig` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(super) untrusted_comment: String,
    pub(super) key: KeyId,
    pub(super) of_file: [u8; 64],
    pub(super) trusted_comment: String,
    /// Of the signature of the file, and the trusted comment.
    pub(super) of_comment: [u8; 64],
}

impl Signature {
    /// The name of the key that is said to have made it.
    #[must_use]
    pub(crate) const fn key(&self) -> KeyId {
        self.key
    }

    /// The value of a field of the trusted comment, such as `timestamp` in
    /// `timestamp:1700000000⇥file:a.wasm`. Trustworthy once the signature is
    /// verified.
    #[must_use]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.trusted_comment.split('\t');
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix(':'))
    }

    /// What the second signature covers.
    pub(super) fn with_comment(&self) -> Vec<u8> {
        [&self.of_file, self.trusted_comment.as_bytes()].concat()
    }
}

/// The digest that is signed in place of a file.
#[must_use]
pub(crate) fn prehash(file: &[u8]) -> [u8; 64] {
    *blake2b(file).as_array()
}

impl FromStr for Signature {
    type Err = FormError;

    /// Parses the four lines of a `.minisig` file.
    fn from_str(text: &str) -> Result<Self, FormError> {
        let mut lines = text.trim().lines();
        let mut line = || lines.next().ok_or(FormError::Other);
        let comment = |line: &str, kind| line.strip_prefix(kind).map(str::to_owned);
        let untrusted_comment = comment(line()?, UNTRUSTED).ok_or(FormError::Other)?;
        let signature: [u8; 74] = decode(line()?)?;
        let trusted_comment = comment(line()?, TRUSTED).ok_or(FormError::Other)?;
        let of_comment = decode(line()?)?;
        if lines.next().is_some() {
            return Err(FormError::Other);
        }
        let signature = &mut &signature[..];
        match take(signature)? {
            ALGORITHM => Ok(Self {
                untrusted_comment,
                key: KeyId(take(signature)?),
                of_file: take(signature)?,
                trusted_comment,
                of_comment,
            }),
            LEGACY_ALGORITHM => Err(FormError::Legacy),
            _ => Err(FormError::Other),
        }
    }
}

impl fmt::Display for Signature {
    /// Writes the four lines of a `.minisig` file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = encode(&[&ALGORITHM, &self.key.0, &self.of_file]);
        writeln!(f, "{UNTRUSTED}{}", self.untrusted_comment)?;
        writeln!(f, "{signature}")?;
        writeln!(f, "{TRUSTED}{}", self.trusted_comment)?;
        writeln!(f, "{}", encode(&[&self.of_comment]))
    }
}

#[cfg(test)]
mod tests;
