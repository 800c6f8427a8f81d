//! Signatures of requests between nodes.
//!
//! A signature covers the node that is to receive the request, its method and
//! path, and the digest and length that the head declares for the body. So it
//! can be checked before the body is read, and another node refuses it. A nonce
//! makes each signature good for one request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sha2::{Digest, Sha256};

use super::secret::Secret;
use sluice_types::clock::unix_nanos;

/// The header of a signed request: `2`, when it was made in milliseconds since
/// the Unix epoch, a nonce in hex and the signature in hex, with dots between
/// them.
pub(crate) const SIGNATURE: &str = "sluice-signature";
/// The header with the body's digest (RFC 9530).
pub(crate) const CONTENT_DIGEST: &str = "content-digest";
/// How far the time of a signed request may be from this node's clock.
pub(crate) const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// The version, which stands first in the header.
const VERSION: &str = "2";
/// What stands around the digest in its header.
const DIGEST_FORM: (&str, &str) = ("sha-256=:", ":");

/// A SHA-256 digest.
pub(crate) type BodyDigest = [u8; 32];

/// What a signature is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedHead<'a> {
    /// The name of the node that receives the request.
    pub(crate) node: &'a str,
    pub(crate) method: &'a str,
    /// The path with its query.
    pub(crate) path: &'a str,
    /// The body's length in bytes.
    pub(crate) length: u64,
    pub(crate) digest: &'a BodyDigest,
}

/// A signature that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// When it was made, in milliseconds since the Unix epoch.
    pub(crate) millis: u64,
    /// The signature itself, or so much of it that no other has the same.
    pub(crate) id: u128,
}

impl Secret {
    /// The value of [`SIGNATURE`] for a request that is made now.
    #[must_use]
    pub(crate) fn sign(&self, head: &SignedHead<'_>) -> String {
        let (millis, nonce) = (unix_millis(), rand::random::<u64>());
        let tag = hmac::sign(self.key(), &signed(millis, nonce, head));
        format!(
            "{VERSION}.{millis}.{nonce:016x}.{}",
            hex::encode(tag.as_ref())
        )
    }

    /// Checks that the header's value was made for this request, and recently.
    #[must_use]
    pub(crate) fn verify(&self, header: &str, head: &SignedHead<'_>) -> Option<Verified> {
        let mut parts = header.split('.');
        let (version, millis) = (parts.next()?, parts.next()?.parse().ok()?);
        let nonce = parts.next()?;
        let nonce = u64::from_str_radix(nonce, 16)
            .ok()
            .filter(|value| format!("{value:016x}") == nonce)?;
        let tag = hex::decode(parts.next()?).ok()?;
        let is_form = version == VERSION && parts.next().is_none() && is_near(millis);
        let text = signed(millis, nonce, head);
        let is_signed = is_form && hmac::verify(self.key(), &text, &tag).is_ok();
        is_signed.then(|| Verified::new(millis, &tag))
    }
}

impl Verified {
    pub(super) fn new(millis: u64, tag: &[u8]) -> Self {
        let half = tag.first_chunk().copied().unwrap_or_default();
        Self {
            millis,
            id: u128::from_be_bytes(half),
        }
    }
}

/// The digest of a body.
#[must_use]
pub(crate) fn digest_of(body: &[u8]) -> BodyDigest {
    Sha256::digest(body).into()
}

/// The value of [`CONTENT_DIGEST`].
#[must_use]
pub(crate) fn content_digest(digest: &BodyDigest) -> String {
    let (before, after) = DIGEST_FORM;
    format!("{before}{}{after}", STANDARD.encode(digest))
}

/// Reads the value of [`CONTENT_DIGEST`]; `None` if it is not a single SHA-256.
#[must_use]
pub(crate) fn parse_content_digest(header: &str) -> Option<BodyDigest> {
    let (before, after) = DIGEST_FORM;
    let digest = header.strip_prefix(before)?.strip_suffix(after)?;
    STANDARD.decode(digest).ok()?.try_into().ok()
}

/// The time by this node's clock, in milliseconds since the Unix epoch.
#[must_use]
pub(crate) fn unix_millis() -> u64 {
    unix_nanos() / 1_000_000
}

/// Whether this time, in milliseconds since the Unix epoch, is about now.
pub(super) fn is_near(millis: u64) -> bool {
    Duration::from_millis(unix_millis().abs_diff(millis)) < MAX_CLOCK_DIFFERENCE
}

fn signed(millis: u64, nonce: u64, head: &SignedHead<'_>) -> Vec<u8> {
    let SignedHead {
        node,
        method,
        path,
        length,
        digest,
    } = head;
    let digest = hex::encode(digest);
    format!("sluice-signature-{VERSION}\n{millis}\n{nonce:016x}\n{node}\n{method}\n{path}\n{length}\n{digest}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: SignedHead<'static> = SignedHead {
        node: "a",
        method: "POST",
        path: "/x?stream=s",
        length: 4,
        digest: &[7; 32],
    };

    #[test]
    fn a_signature_is_of_one_request_to_one_node_with_one_secret() {
        let secret = Secret::new(b"secret\n");
        let header = secret.sign(&HEAD);
        assert!(Secret::new(b"secret").verify(&header, &HEAD).is_some());
        assert!(Secret::new(b"other").verify(&header, &HEAD).is_none());
        for other in [
            SignedHead { node: "b", ..HEAD },
            SignedHead {
                method: "GET",
                ..HEAD
            },
            SignedHead { path: "/x", ..HEAD },
            SignedHead { length: 5, ..HEAD },
            SignedHead {
                digest: &[8; 32],
                ..HEAD
            },
        ] {
            assert_eq!(secret.verify(&header, &other), None, "{other:?}");
        }
    }

    #[test]
    fn the_same_request_is_never_signed_alike() {
        let secret = Secret::new(b"secret");
        let verified = || secret.verify(&secret.sign(&HEAD), &HEAD).unwrap().id;
        assert_ne!(verified(), verified());
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let secret = Secret::new(b"secret");
        let header = secret.sign(&HEAD);
        let parts: Vec<_> = header.split('.').collect();
        let [version, millis, nonce, tag] = parts[..] else {
            panic!("{header}");
        };
        let upper = nonce.to_uppercase();
        for wrong in [
            String::new(),
            format!("{millis}.{nonce}.{tag}"),
            format!("1.{millis}.{nonce}.{tag}"),
            format!("{version}.{millis}.0{nonce}.{tag}"),
            format!("{version}.{millis}.+{}.{tag}", &nonce[1..]),
            format!("{version}.{millis}.{nonce}.{tag}.x"),
            format!("{version}.{millis}.{nonce}.{}", &tag[1..]),
            format!("{version}.1.{nonce}.{tag}"),
        ] {
            assert_eq!(secret.verify(&wrong, &HEAD), None, "{wrong}");
        }
        if upper != nonce {
            let header = format!("{version}.{millis}.{upper}.{tag}");
            assert_eq!(secret.verify(&header, &HEAD), None, "{header}");
        }
    }

    #[test]
    fn a_digest_is_read_back_and_nothing_else_is() {
        let digest = digest_of(b"body");
        let header = content_digest(&digest);
        assert_eq!(parse_content_digest(&header), Some(digest));
        for wrong in [
            "",
            "sha-256=::",
            "sha-256=:AAAA:",
            &header[1..],
            &format!("{header}x"),
        ] {
            assert_eq!(parse_content_digest(wrong), None, "{wrong}");
        }
    }
}
