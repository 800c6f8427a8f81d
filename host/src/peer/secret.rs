//! The cluster's secret, and signatures made with it.

use std::time::Duration;

use ring::hmac;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use sluice_consul::{Client, Seen, follow};
use sluice_types::clock::unix_nanos;
use sluice_types::error_chain::chain;
use sluice_types::keys::ClusterKeys;

/// The header of a signed request: when it was made, in milliseconds since
/// the Unix epoch, a dot, and the signature in hex.
pub(crate) const SIGNATURE: &str = "sluice-signature";
/// How far the time of a signed request may be from this node's.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);
/// The wait after the secret could not be written.
const RETRY_WAIT: Duration = Duration::from_secs(2);

/// Signs and verifies requests.
#[derive(Clone, Debug)]
pub(crate) struct Secret(hmac::Key);

impl Secret {
    /// From the value of its key in Consul.
    #[must_use]
    pub(crate) fn new(value: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, value.trim_ascii()))
    }

    /// The header's value for a request that is made now.
    #[must_use]
    pub(crate) fn sign(&self, method: &str, path: &str, body: &[u8]) -> String {
        let millis = unix_nanos() / 1_000_000;
        let tag = hmac::sign(&self.0, &signed(millis, method, path, body));
        format!("{millis}.{}", hex::encode(tag.as_ref()))
    }

    /// Whether the header's value was made for this request, and recently.
    #[must_use]
    pub(crate) fn verifies(&self, header: &str, method: &str, path: &str, body: &[u8]) -> bool {
        let Some((millis, tag)) = header.split_once('.') else {
            return false;
        };
        let (Ok(millis), Ok(tag)) = (millis.parse::<u64>(), hex::decode(tag)) else {
            return false;
        };
        is_near(millis) && hmac::verify(&self.0, &signed(millis, method, path, body), &tag).is_ok()
    }
}

/// Whether the header's value says that it was made recently.
#[must_use]
pub(crate) fn is_recent(header: &str) -> bool {
    let made = header.split_once('.');
    made.is_some_and(|(millis, _)| millis.parse::<u64>().is_ok_and(is_near))
}

/// Whether this time, in milliseconds since the Unix epoch, is about now.
fn is_near(millis: u64) -> bool {
    let age = (unix_nanos() / 1_000_000).abs_diff(millis);
    Duration::from_millis(age) < MAX_CLOCK_DIFFERENCE
}

fn signed(millis: u64, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let digest = hex::encode(Sha256::digest(body));
    format!("{millis}\n{method}\n{path}\n{digest}").into_bytes()
}

/// Publishes the secret as long as there are receivers, and creates it if there
/// is none yet.
pub(crate) async fn keep(client: Client, cluster: String, secret: watch::Sender<Option<Secret>>) {
    let key = ClusterKeys::new(cluster).secret();
    let (seen_in, mut seen) = watch::channel(Seen::Unknown);
    let watching = async {
        loop {
            let now = seen.borrow_and_update().clone();
            match now {
                Seen::Present { value, .. } if !value.trim_ascii().is_empty() => {
                    secret.send_replace(Some(Secret::new(&value)));
                }
                Seen::Unknown => {}
                Seen::Absent | Seen::Present { .. } => {
                    let index = match now {
                        Seen::Present { index, .. } => index,
                        _ => 0,
                    };
                    // If another node is quicker, the watch shows its secret.
                    let value = hex::encode(rand::random::<[u8; 32]>()).into_bytes();
                    if let Err(error) = client.check_and_set(&key, index, value).await {
                        tracing::warn!(
                            error = chain(&error),
                            "could not create the cluster's secret"
                        );
                        tokio::time::sleep(RETRY_WAIT).await;
                        seen.mark_changed();
                    }
                }
            }
            tokio::select! {
                changed = seen.changed() => if changed.is_err() { return },
                () = secret.closed() => return,
            }
        }
    };
    tokio::select! {
        () = follow(client.clone(), key.clone(), seen_in) => {}
        () = watching => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_request_with_one_secret() {
        let secret = Secret::new(b"secret\n");
        let header = secret.sign("POST", "/a", b"body");
        assert!(Secret::new(b"secret").verifies(&header, "POST", "/a", b"body"));
        assert!(!secret.verifies(&header, "GET", "/a", b"body"));
        assert!(!secret.verifies(&header, "POST", "/b", b"body"));
        assert!(!secret.verifies(&header, "POST", "/a", b"other"));
        assert!(!Secret::new(b"other").verifies(&header, "POST", "/a", b"body"));
        let (_, tag) = header.split_once('.').unwrap();
        for wrong in ["", "x", "1.", &format!("1.{tag}"), &header.replace('.', "")] {
            assert!(!secret.verifies(wrong, "POST", "/a", b"body"), "{wrong}");
        }
    }

    #[test]
    fn a_signature_is_hex_digits_and_nothing_else() {
        let secret = Secret::new(b"secret");
        let with_sign = (0_u8..=u8::MAX).find_map(|body| {
            let header = secret.sign("POST", "/a", &[body]);
            let (millis, tag) = header.split_once('.').unwrap();
            // A leading zero, which a parser of numbers would take as a plus.
            let zero = (0..tag.len())
                .step_by(2)
                .find(|at| tag[*at..].starts_with('0'))?;
            let tag = format!("{}+{}", &tag[..zero], &tag[zero + 1..]);
            Some((body, format!("{millis}.{tag}")))
        });
        let (body, header) = with_sign.unwrap();
        assert!(!secret.verifies(&header, "POST", "/a", &[body]), "{header}");
    }
}
