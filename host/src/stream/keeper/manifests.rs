//! The watch of the manifests of streams other than the default one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::plugin::pin;
use crate::stream::remembered::Wanted;
use sluice_consul::{Client, Entry, Pace};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::{DEFAULT_STREAM, check_name};

/// How patient the watch is.
const PACE: Pace = Pace {
    wait: Duration::from_secs(30),
    retry: Duration::from_millis(500),
    pause: Duration::ZERO,
};

/// The manifests of streams by their names.
pub(super) type Manifests = BTreeMap<String, Wanted>;

/// Follows the manifests until nobody listens; `None` until Consul has answered.
pub(super) async fn follow(
    client: Client,
    keys: ClusterKeys,
    manifests: watch::Sender<Option<Manifests>>,
) {
    let prefix = keys.wanted();
    let read = |wait| client.list(&prefix, Some(wait));
    let show = |entries: Vec<Entry>| Some(named(&keys, entries));
    sluice_consul::watch(PACE, &prefix, read, show, manifests).await;
}

fn named(keys: &ClusterKeys, entries: Vec<Entry>) -> Manifests {
    let named = entries.into_iter().filter_map(|entry| {
        let name = keys.stream_of_plugin(&entry.key)?;
        if let Some(problem) = problem_of(name) {
            tracing::warn!(key = entry.key, problem, "no stream is opened for this key");
            return None;
        }
        let wanted = Wanted {
            index: entry.modify_index,
            manifest: String::from_utf8_lossy(&entry.value).into_owned(),
        };
        Some((name.to_owned(), wanted))
    });
    named.collect()
}

/// The nodes that streams are pinned to: what the field `pin` of their manifests names.
pub(super) fn pins(manifests: &Manifests) -> BTreeMap<String, String> {
    let pinned = manifests.iter().filter_map(|(stream, wanted)| {
        let pin = pin(wanted.manifest.as_bytes())?;
        Some((stream.clone(), pin))
    });
    pinned.collect()
}

fn problem_of(name: &str) -> Option<String> {
    if name == DEFAULT_STREAM {
        return Some("the default stream's manifest is in the key plugin".to_owned());
    }
    check_name(name).err().map(|error| error.to_string())
}
