//! A stream other than the default one, from its opening to its end.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::counter::Counter;
use super::orders::Orders;
use super::prepared::NodeAccess;
use super::remembered::Wanted;
use super::tasks::StreamTasks;
use crate::plugin::{Choice, ControllerView};
use sluice_consul::Seen;
use sluice_leadership::{Elector, Role, StreamOrder};

/// How long a stream that closes waits for the release of its lock.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What this node has of a stream.
#[derive(Debug)]
pub(super) struct Place {
    /// What the manifest's key holds, for the plugin controller.
    plugin: watch::Sender<Seen>,
    /// What the key of the active sink holds, for the same.
    active: watch::Sender<Seen>,
    /// The counter of epochs that there was before the manifest was last seen in Consul;
    /// `None` if it was not seen since this node started or Consul has lost its state.
    pub(super) counter: Option<Counter>,
    pub(super) stage: Stage,
}

/// How far a stream is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its disk and its sink are being prepared.
    Opening,
    /// That failed; it is tried again then.
    Failed(Instant),
    Open(Running),
    /// It finishes what it has.
    Closing,
}

/// What runs for an open stream.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) tasks: StreamTasks,
    pub(super) role: watch::Receiver<Role>,
    /// Tells the election whether there is a sink.
    pub(super) telling: JoinHandle<()>,
}

impl Place {
    pub(super) fn new(plugin: Seen) -> Self {
        Self {
            plugin: watch::Sender::new(plugin),
            active: watch::Sender::new(Seen::Unknown),
            counter: None,
            stage: Stage::Opening,
        }
    }

    /// What the keys hold, for the plugin controller.
    pub(super) fn keys(&self) -> (watch::Receiver<Seen>, watch::Receiver<Seen>) {
        (self.plugin.subscribe(), self.active.subscribe())
    }

    /// The manifest's key holds this. Returns whether that is news.
    pub(super) fn wants(&mut self, wanted: &Wanted) -> bool {
        tell(&self.plugin, seen(wanted))
    }

    /// The index at which the manifest was written.
    pub(super) fn index(&self) -> u64 {
        match *self.plugin.borrow() {
            Seen::Present { index, .. } => index,
            Seen::Absent | Seen::Unknown => 0,
        }
    }

    /// The key of the active sink holds this.
    pub(super) fn runs(&self, active: Seen) {
        tell(&self.active, active);
    }
}

/// What a remembered manifest's key held.
pub(super) fn seen(wanted: &Wanted) -> Seen {
    Seen::Present {
        index: wanted.index,
        value: wanted.manifest.clone().into_bytes(),
    }
}

fn tell(key: &watch::Sender<Seen>, now: Seen) -> bool {
    key.send_if_modified(|before| {
        let is_news = *before != now;
        *before = now;
        is_news
    })
}

/// Takes part in the election of a stream.
pub(super) async fn join(
    elector: &Elector,
    stream: &str,
    plugins: &ControllerView,
    node: &NodeAccess,
) -> (NodeAccess, JoinHandle<()>) {
    let (state, active) = (plugins.node_state.clone(), plugins.active.clone());
    let controls = elector.join(stream, state, active).await;
    let node = NodeAccess {
        controls,
        ..node.clone()
    };
    let orders = Orders::new(stream, node.orders.clone());
    let telling = tokio::spawn(tell_eligible(orders, plugins.choice.clone()));
    (node, telling)
}

/// Lets this node lead once there is a sink. Without one, it would only take the lock
/// from those that have one.
async fn tell_eligible(orders: Orders, mut choice: watch::Receiver<Choice>) {
    let has_sink = |choice: &Choice| !choice.wanted.is_missing();
    if choice.wait_for(has_sink).await.is_ok() {
        orders.give(StreamOrder::Eligible(true)).await;
    }
}

impl Running {
    /// Finishes what was accepted, and gives up the lock. Returns whether records are
    /// left on this node's disk.
    pub(super) async fn close(mut self, stream: &str, elector: &Elector) -> bool {
        self.telling.abort();
        self.tasks.stop_for_good();
        self.tasks.drained().await;
        elector.leave(stream).await;
        let left = async { while self.role.changed().await.is_ok() {} };
        if timeout(LEAVE_LIMIT, left).await.is_err() {
            tracing::warn!(stream, "Consul did not answer while the stream was closed");
        }
        self.tasks.end().await;
        let has_records = self.tasks.has_records();
        self.tasks.close().await;
        has_records
    }

    /// Ends what only runs beside the stream.
    pub(super) fn into_tasks(self) -> StreamTasks {
        self.telling.abort();
        self.tasks
    }
}

/// Waits until a task of an open stream has ended by itself, and says what it did.
pub(super) async fn ended(places: impl Iterator<Item = &mut Place>) -> &'static str {
    let running = places.filter_map(|place| match &mut place.stage {
        Stage::Open(running) => Some(Box::pin(running.tasks.ended())),
        _ => None,
    });
    let running: Vec<_> = running.collect();
    match running.is_empty() {
        true => std::future::pending().await,
        false => select_all(running).await.0,
    }
}
