//! The watch of the manifests of streams other than the default one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::plugin::pin;
use crate::stream::counter::Counter;
use crate::stream::remembered::Wanted;
use sluice_consul::{Client, Entry, Pace, Read, Wait};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::{DEFAULT_STREAM, check_name};

/// How patient the watch is.
const PACE: Pace = Pace {
    wait: Duration::from_secs(30),
    retry: Duration::from_millis(500),
    pause: Duration::ZERO,
};

/// How long manifests are waited for while no node has ever led.
const COUNTER_WAIT: Duration = Duration::from_secs(1);

/// The manifests of streams by their names.
pub(super) type Manifests = BTreeMap<String, Wanted>;

/// What there is in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) manifests: Manifests,
    /// The counter of epochs before these manifests were there.
    pub(super) counter: Option<Counter>,
}

/// Follows the manifests until nobody listens; `None` until Consul has answered.
pub(super) async fn follow(
    client: Client,
    keys: ClusterKeys,
    listed: watch::Sender<Option<Listed>>,
) {
    let prefix = keys.wanted();
    let known = AtomicU64::default();
    let read = async |wait| {
        let counter = Counter::read(&client, &keys).await?;
        let wait = patience(wait, counter, &known);
        let Read { index, value } = client.list(&prefix, Some(wait)).await?;
        let value = (counter, value);
        Ok(Read { index, value })
    };
    let show = |(counter, entries)| {
        let manifests = named(&keys, entries);
        Some(Listed { manifests, counter })
    };
    sluice_consul::watch(PACE, &prefix, read, show, listed).await;
}

/// How long to wait for other manifests: while there is no counter, or another one than
/// was `known`, not as long, so that what is listed comes with the one that there is.
fn patience(wait: Wait, counter: Option<Counter>, known: &AtomicU64) -> Wait {
    let created = counter.map_or(0, |counter| counter.created);
    match (known.swap(created, Ordering::Relaxed) == created, created) {
        (false, _) => Wait { index: 0, ..wait },
        (true, 0) => Wait {
            most: COUNTER_WAIT,
            ..wait
        },
        (true, _) => wait,
    }
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
