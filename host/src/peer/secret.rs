//! The cluster's secret.

use std::time::Duration;

use ring::hmac;
use tokio::sync::watch;

use sluice_consul::{Client, Seen, follow};
use sluice_types::error_chain::chain;
use sluice_types::keys::ClusterKeys;

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

    pub(super) const fn key(&self) -> &hmac::Key {
        &self.0
    }
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
