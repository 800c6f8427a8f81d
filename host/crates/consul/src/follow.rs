//! Following a key of Consul.

use std::time::Duration;

use tokio::sync::watch;

use super::client::Client;
use super::kv::Wait;
use sluice_types::error_chain::chain;

/// How long a watch waits for a change.
const WATCH: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(500);
/// The pause after a watch that woke for nothing: where there is no such key,
/// every write to Consul wakes it.
const PAUSE: Duration = Duration::from_millis(200);

/// What a key held when it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Consul has not answered yet.
    #[default]
    Unknown,
    /// There is no such key.
    Absent,
    /// There is.
    Present {
        /// Changes with every write.
        index: u64,
        /// The bytes.
        value: Vec<u8>,
    },
}

/// Publishes every change of a key, for as long as anybody listens. While
/// Consul does not answer, what was seen last stays.
pub async fn follow(client: Client, key: String, seen: watch::Sender<Seen>) {
    let mut index = 0;
    let mut warned = false;
    while !seen.is_closed() {
        let wait = Wait { index, most: WATCH };
        match client.read(&key, Some(wait)).await {
            Ok(read) => {
                // An index that went back belongs to another life of Consul.
                index = if read.index < index { 0 } else { read.index };
                let now = read.value.map_or(Seen::Absent, |entry| Seen::Present {
                    index: entry.modify_index,
                    value: entry.value,
                });
                let changed = seen.send_if_modified(|before| {
                    let changed = *before != now;
                    *before = now;
                    changed
                });
                warned = false;
                if !changed {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Err(error) => {
                if error.is_denied() && !warned {
                    warned = true;
                    tracing::error!(
                        key,
                        error = chain(&error),
                        "Consul's ACL does not let this node read a key"
                    );
                } else {
                    tracing::debug!(key, error = chain(&error), "could not watch a key");
                }
                // It may come back as another, for which that index lies far ahead.
                index = 0;
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
