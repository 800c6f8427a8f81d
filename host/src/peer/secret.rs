//! The cluster's secret, and signatures made with it.

use std::time::Duration;

use ring::hmac;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::hex::{hex, unhex};
use sluice_consul::{Client, Seen, follow};
use sluice_types::clock::unix_nanos;
use sluice_types::error_chain::chain;

/// The header of a signed request: when it was made, in milliseconds since
/// the Unix epoch, a dot, and the signature in hex.
pub const SIGNATURE: &str = "sluice-signature";
/// A request counts for so long, and as much before its time.
const GOOD_FOR: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

/// Signs and verifies requests.
#[derive(Clone, Debug)]
pub struct Secret(hmac::Key);

impl Secret {
    /// As it stands in Consul.
    #[must_use]
    pub fn new(value: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, value.trim_ascii()))
    }

    /// The header's value for a request of now.
    #[must_use]
    pub fn sign(&self, method: &str, path: &str, body: &[u8]) -> String {
        let millis = unix_nanos() / 1_000_000;
        let tag = hmac::sign(&self.0, &signed(millis, method, path, body));
        format!("{millis}.{}", hex(tag.as_ref()))
    }

    /// Whether the header's value is of this request, and recent.
    #[must_use]
    pub fn verifies(&self, header: &str, method: &str, path: &str, body: &[u8]) -> bool {
        let Some((millis, tag)) = header.split_once('.') else {
            return false;
        };
        let (Ok(millis), Some(tag)) = (millis.parse::<u64>(), unhex(tag)) else {
            return false;
        };
        is_recent(header)
            && hmac::verify(&self.0, &signed(millis, method, path, body), &tag).is_ok()
    }
}

/// Whether the header's value says that it was made a short while ago.
#[must_use]
pub fn is_recent(header: &str) -> bool {
    let made = header
        .split_once('.')
        .map(|(millis, _)| millis.parse::<u64>());
    let Some(Ok(millis)) = made else {
        return false;
    };
    let age = (unix_nanos() / 1_000_000).abs_diff(millis);
    Duration::from_millis(age) < GOOD_FOR
}

fn signed(millis: u64, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let digest = hex(&Sha256::digest(body));
    format!("{millis}\n{method}\n{path}\n{digest}").into_bytes()
}

/// Publishes the secret for as long as anybody listens, and makes it if there
/// is none yet.
pub async fn keep(client: Client, cluster: String, secret: watch::Sender<Option<Secret>>) {
    let key = format!("{cluster}/secret");
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
                    // Another node may be quicker: then the watch shows its.
                    let value = hex(&rand::random::<[u8; 32]>()).into_bytes();
                    if let Err(error) = client.check_and_set(&key, index, value).await {
                        tracing::warn!(
                            error = chain(&error),
                            "could not make the cluster's secret"
                        );
                        tokio::time::sleep(RETRY).await;
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
}
