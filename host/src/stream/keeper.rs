//! Opens and closes the streams other than the default one as their keys come and go.
//!
//! Putting `<c>/streams/<s>/plugin` opens the stream on every node, and deleting it
//! closes it. Only a deletion that a node has seen closes a stream, by itself or by the
//! key `<c>/run/<s>/closed` that it leaves for the others. A Consul that has lost its
//! state closes none: it has no such key, and not the counter of epochs that it had.
//! Streams are remembered on disk, so they are also there while Consul is not.

mod changes;
mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::config::StreamConfig;
use super::place::{Place, Stage, ended};
use super::prepared::{NodeAccess, PreparedStream, StreamError};
use super::remembered::Remembered;
use super::spread::{self, SpreadParts};
use super::streams::Streams;
use super::tasks::StreamTasks;
use crate::plugin::{Manifest, Preparer};
use manifests::{Listed, follow};
use sluice_consul::Client;
use sluice_delivery::AckTrace;
use sluice_delivery::metrics::Metrics;
use sluice_leadership::{Elector, Runs};
use sluice_types::keys::ClusterKeys;

/// The pause before a stream that could not be opened is tried again, and before
/// Consul is asked again whether it has lost its state.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// The time for Consul to take a note.
const CONSUL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is tried to leave the note of a closed stream.
const NOTE_ATTEMPTS: u32 = 3;

/// A stream that was to be opened.
type Opened = (String, Result<PreparedStream, StreamError>);

/// What does not change for the streams of a node.
#[derive(Debug)]
pub(crate) struct StreamsConfig {
    pub(crate) keys: ClusterKeys,
    /// The settings of every stream but for its name.
    pub(crate) config: StreamConfig,
    /// The most streams of this node, the default one included.
    pub(crate) max_streams: usize,
    /// Where the streams keep what is theirs.
    pub(crate) folder: PathBuf,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) trace: Option<Arc<AckTrace>>,
    pub(crate) preparer: Arc<Preparer>,
    /// The sink of streams whose manifest is empty.
    pub(crate) flag: Manifest,
}

/// What the keeper works with.
#[derive(Debug)]
pub(crate) struct KeeperParts {
    pub(crate) config: StreamsConfig,
    pub(crate) client: Client,
    pub(crate) elector: Elector,
    pub(crate) access: NodeAccess,
    pub(crate) streams: Streams,
}

/// Keeps the streams of a node.
#[derive(Debug)]
pub(crate) struct StreamKeeper {
    stop: oneshot::Sender<()>,
    /// Spreads the streams over the nodes.
    spread: JoinHandle<()>,
    task: JoinHandle<Vec<StreamTasks>>,
}

impl StreamKeeper {
    /// Opens the streams that are remembered, and follows the keys.
    pub(crate) fn start(parts: KeeperParts) -> Self {
        let (stop, stopping) = oneshot::channel();
        let (pins_in, pins) = watch::channel(BTreeMap::new());
        let spread = spread::start(SpreadParts {
            node: parts.access.node.clone(),
            streams: parts.streams.clone(),
            elector: parts.elector.clone(),
            orders: parts.access.orders.clone(),
            pins,
        });
        let task = tokio::spawn(Keeping::new(parts, pins_in).run(stopping));
        Self { stop, spread, task }
    }

    /// Waits until it has ended by itself: a stream has, or the spread.
    pub(crate) async fn ended(&mut self) {
        // The tasks of the others are lost with it; the node ends anyway.
        tokio::select! {
            ended = &mut self.task => drop(ended),
            ended = &mut self.spread => drop(ended),
        }
    }

    /// Opens and closes no more. The streams that are open go on.
    pub(crate) async fn stop(self) -> Vec<StreamTasks> {
        self.spread.abort();
        if self.task.is_finished() {
            return Vec::new();
        }
        // It may be ending.
        _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

#[derive(Debug)]
struct Keeping {
    parts: KeeperParts,
    remembered: Remembered,
    listed: watch::Receiver<Option<Listed>>,
    runs: watch::Receiver<Option<Arc<Runs>>>,
    places: BTreeMap<String, Place>,
    opening: JoinSet<Opened>,
    closing: JoinSet<String>,
    /// Watches the manifests.
    following: JoinSet<()>,
    retry_at: Option<Instant>,
    /// The streams beyond the bound.
    refused: BTreeSet<String>,
    pins: watch::Sender<BTreeMap<String, String>>,
}

impl Keeping {
    fn new(parts: KeeperParts, pins: watch::Sender<BTreeMap<String, String>>) -> Self {
        let (listed_in, listed) = watch::channel(None);
        let mut following = JoinSet::new();
        following.spawn(follow(
            parts.client.clone(),
            parts.config.keys.clone(),
            listed_in,
        ));
        Self {
            remembered: Remembered::new(parts.config.folder.clone()),
            listed,
            runs: parts.access.controls.runs.clone(),
            parts,
            places: BTreeMap::new(),
            opening: JoinSet::new(),
            closing: JoinSet::new(),
            following,
            retry_at: None,
            refused: BTreeSet::new(),
            pins,
        }
    }

    async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Vec<StreamTasks> {
        for (name, wanted) in self.remembered.all() {
            self.begin_if_room(&name, &wanted);
        }
        loop {
            let retry_at = self.retry_at;
            let ended = ended(self.places.values_mut());
            tokio::select! {
                _ = &mut stop => break,
                what = ended => {
                    tracing::error!(what, "a stream has ended by itself");
                    break;
                }
                Some(ended) = self.following.join_next() => {
                    tracing::error!(?ended, "the watch of the manifests has ended");
                    break;
                }
                Ok(()) = self.listed.changed() => self.reconcile().await,
                Ok(()) = self.runs.changed() => self.reconcile().await,
                Some(opened) = self.opening.join_next() => self.opened(opened).await,
                Some(closed) = self.closing.join_next() => self.closed(closed),
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => {
                    self.retry_at = None;
                    self.reconcile().await;
                }
            }
        }
        self.opening.shutdown().await;
        // Each is bounded by the time for draining.
        while self.closing.join_next().await.is_some() {}
        let open = self
            .places
            .into_values()
            .filter_map(|place| match place.stage {
                Stage::Open(running) => Some(running.into_tasks()),
                _ => None,
            });
        open.collect()
    }

    /// Makes the streams those that the keys ask for.
    async fn reconcile(&mut self) {
        let Some(listed) = self.listed.borrow_and_update().clone() else {
            return;
        };
        let runs = self.runs.borrow_and_update().clone();
        self.refused
            .retain(|name| listed.manifests.contains_key(name));
        for (name, wanted) in &listed.manifests {
            self.want(name, wanted, listed.counter);
        }
        let is_awaited = |name: &str| {
            let place = self.places.get(name);
            let is_wanted = listed.manifests.contains_key(name);
            place.is_some_and(|place| is_wanted || !matches!(place.stage, Stage::Closing))
        };
        let streams = &self.parts.streams;
        streams.synchronised(is_awaited, self.refused.clone());
        self.pins.send_replace(manifests::pins(&listed.manifests));
        let names = self.places.keys();
        let gone = names.filter(|name| !listed.manifests.contains_key(*name));
        let gone = gone.cloned().collect();
        self.gone(gone, runs.as_deref()).await;
        if let Some(runs) = runs {
            self.tell_active(&runs);
        }
    }
}
