//! The signatures of the version before, for a cluster that is being upgraded:
//! they name no node, and the body must be read to check them.
//!
//! Nodes send this form to nodes that take no other, and take it for the
//! transfer of a journal only. It goes with the next version.

use ring::hmac;

use super::secret::Secret;
use super::signature::{BodyDigest, Verified, is_near, unix_millis};

impl Secret {
    /// The header's value for a request that is made now: when it was made, a
    /// dot, and the signature in hex.
    #[must_use]
    pub(super) fn sign_old(&self, method: &str, path: &str, digest: &BodyDigest) -> String {
        let millis = unix_millis();
        let tag = hmac::sign(self.key(), &signed(millis, method, path, digest));
        format!("{millis}.{}", hex::encode(tag.as_ref()))
    }

    /// Checks that the header's value was made for this request, and recently.
    #[must_use]
    pub(crate) fn verify_old(
        &self,
        header: &str,
        method: &str,
        path: &str,
        digest: &BodyDigest,
    ) -> Option<Verified> {
        let (millis, tag) = header.split_once('.')?;
        let (millis, tag) = (millis.parse().ok()?, hex::decode(tag).ok()?);
        let text = signed(millis, method, path, digest);
        let is_signed = is_near(millis) && hmac::verify(self.key(), &text, &tag).is_ok();
        is_signed.then(|| Verified::new(millis, &tag))
    }
}

/// Whether the header's value has this form, and says that it was made
/// recently.
#[must_use]
pub(crate) fn is_recent_old(header: &str) -> bool {
    let made = header.split_once('.');
    made.is_some_and(|(millis, tag)| millis.parse::<u64>().is_ok_and(is_near) && !tag.contains('.'))
}

fn signed(millis: u64, method: &str, path: &str, digest: &BodyDigest) -> Vec<u8> {
    let digest = hex::encode(digest);
    format!("{millis}\n{method}\n{path}\n{digest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: BodyDigest = [7; 32];

    #[test]
    fn a_signature_is_of_one_request_with_one_secret() {
        let secret = Secret::new(b"secret\n");
        let header = secret.sign_old("POST", "/a", &DIGEST);
        let verifies = |header: &str, method: &str, path: &str, digest: &BodyDigest| {
            secret.verify_old(header, method, path, digest).is_some()
        };
        assert!(verifies(&header, "POST", "/a", &DIGEST));
        assert!(!verifies(&header, "GET", "/a", &DIGEST));
        assert!(!verifies(&header, "POST", "/b", &DIGEST));
        assert!(!verifies(&header, "POST", "/a", &[8; 32]));
        let other = Secret::new(b"other");
        assert_eq!(other.verify_old(&header, "POST", "/a", &DIGEST), None);
        let (_, tag) = header.split_once('.').unwrap();
        for wrong in ["", "x", "1.", &format!("1.{tag}"), &header.replace('.', "")] {
            assert!(!verifies(wrong, "POST", "/a", &DIGEST), "{wrong}");
        }
    }

    #[test]
    fn the_text_that_is_signed_is_that_of_the_version_before() {
        let text = signed(5, "POST", "/a", &DIGEST);
        let expected = format!("5\nPOST\n/a\n{}", "07".repeat(32));
        assert_eq!(text, expected.as_bytes());
    }

    #[test]
    fn a_signature_is_hex_digits_and_nothing_else() {
        let secret = Secret::new(b"secret");
        let with_sign = (0_u8..=u8::MAX).find_map(|number| {
            let header = secret.sign_old("POST", "/a", &[number; 32]);
            let (millis, tag) = header.split_once('.').unwrap();
            // A leading zero, which a parser of numbers would take as a plus.
            let zero = (0..tag.len())
                .step_by(2)
                .find(|at| tag[*at..].starts_with('0'))?;
            let tag = format!("{}+{}", &tag[..zero], &tag[zero + 1..]);
            Some((number, format!("{millis}.{tag}")))
        });
        let (number, header) = with_sign.unwrap();
        let verified = secret.verify_old(&header, "POST", "/a", &[number; 32]);
        assert_eq!(verified, None, "{header}");
    }

    #[test]
    fn the_current_form_is_not_taken_for_the_old_one() {
        let secret = Secret::new(b"secret");
        assert!(is_recent_old(&secret.sign_old("GET", "/a", &DIGEST)));
        let now = unix_millis();
        for header in [
            "",
            "2.00",
            &format!("2.{now}.00.00"),
            &format!("{now}.00.00"),
        ] {
            assert!(!is_recent_old(header), "{header}");
        }
    }
}
