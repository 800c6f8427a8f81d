//! The keys of a stream that say which sink runs.

use tokio::sync::watch;
use tokio::task::JoinSet;

use sluice_consul::{Client, Seen, follow};
use sluice_types::keys::StreamKeys;

/// What is in the keys of a stream.
#[derive(Debug)]
pub(crate) struct WatchedKeys {
    /// The name of the manifest's key.
    pub(super) name: String,
    /// The manifest that is asked for.
    pub(super) plugin: watch::Receiver<Seen>,
    /// The document of the active sink.
    pub(super) active: watch::Receiver<Seen>,
    /// The tasks that watch the keys. They never end by themselves.
    pub(super) following: JoinSet<()>,
}

impl WatchedKeys {
    /// Watches the keys by themselves.
    pub(crate) fn follow(client: &Client, keys: &StreamKeys) -> Self {
        let mut following = JoinSet::new();
        let mut watch_key = |key: &str| {
            let (seen_in, seen) = watch::channel(Seen::Unknown);
            following.spawn(follow(client.clone(), key.to_owned(), seen_in));
            seen
        };
        let (plugin, active) = (watch_key(&keys.plugin), watch_key(&keys.active));
        Self {
            name: keys.plugin.clone(),
            plugin,
            active,
            following,
        }
    }

    /// What others that watch many keys tell of these.
    pub(crate) fn told(
        name: String,
        plugin: watch::Receiver<Seen>,
        active: watch::Receiver<Seen>,
    ) -> Self {
        Self {
            name,
            plugin,
            active,
            following: JoinSet::new(),
        }
    }
}
