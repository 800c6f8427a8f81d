//! Lines of base64 below comments.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

pub(super) const UNTRUSTED: &str = "untrusted comment: ";

/// Why a text is not a key or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FormError {
    /// It is something else.
    #[error("it is not in minisign's form")]
    Other,
    /// A signature that covers the file itself, not its digest.
    #[error("it is in minisign's old form; sign with minisign 0.6 or newer, without -l")]
    Legacy,
    /// A secret key that only minisign itself can use.
    #[error("it is protected by a password; sign with `minisign -S`, which asks for that")]
    Encrypted,
}

/// Decodes a line of base64 with exactly so many bytes.
pub(super) fn decode<const N: usize>(line: &str) -> Result<[u8; N], FormError> {
    let bytes = STANDARD.decode(line.trim()).map_err(|_| FormError::Other)?;
    bytes.try_into().map_err(|_| FormError::Other)
}

pub(super) fn encode(parts: &[&[u8]]) -> String {
    STANDARD.encode(parts.concat())
}

/// The line of a key: the only one, or the one below a comment.
pub(super) fn key_line(text: &str) -> Result<&str, FormError> {
    let mut lines = text.trim().lines();
    match (lines.next(), lines.next(), lines.next()) {
        (Some(line), None, None) => Ok(line),
        (Some(comment), Some(line), None) if comment.starts_with(UNTRUSTED) => Ok(line),
        _ => Err(FormError::Other),
    }
}

/// Takes so many bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], FormError> {
    let (first, rest) = bytes.split_first_chunk().ok_or(FormError::Other)?;
    *bytes = rest;
    Ok(*first)
}
