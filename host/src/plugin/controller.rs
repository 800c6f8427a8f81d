//! Keeps this node's sinks as `<c>/plugin` asks: follows the key, prepares
//! what it names while the old sink serves, and says what came of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::manifest::Manifest;
use super::prepare::{Candidate, PluginError, Preparer};
use super::source::{Source, Stamp};
use super::state::{Choice, Origin, PluginState, Report};
use super::store::Kept;
use sluice_consul::{Client, Seen, follow};
use sluice_types::backoff::Backoff;
use sluice_types::clock::timestamp;
use sluice_types::documents::{ActiveDocument, NodeDocument};
use sluice_types::error_chain::chain;
use sluice_types::keys::StreamKeys;
use sluice_types::plugin::{PluginPhase, PluginStatus};

/// How long a node that starts waits for Consul's word on the sink.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// How often a file is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How long a changed file must rest before it is read.
const REST: Duration = Duration::from_millis(200);
/// When what could not be prepared is tried again: not every cause shows in
/// the file.
const FIRST_AGAIN: Duration = Duration::from_secs(5);
const LAST_AGAIN: Duration = Duration::from_secs(60);

/// What the rollout needs to know.
#[derive(Debug)]
pub struct ControllerConfig {
    /// For the keys.
    pub client: Client,
    /// The keys of the stream that the sinks are for.
    pub keys: StreamKeys,
    /// This node's name.
    pub node: String,
    /// What is asked for while the key is absent.
    pub flag: Manifest,
    /// Prepares sinks.
    pub preparer: Arc<Preparer>,
}

/// What others read of it.
#[derive(Clone, Debug)]
pub struct ControllerView {
    /// The sinks that could run.
    pub choice: watch::Receiver<Choice>,
    /// What is shown of them.
    pub status: watch::Receiver<PluginStatus>,
    /// What this node's own key in Consul says.
    pub node_state: watch::Receiver<NodeDocument>,
    /// What `<c>/active` says while this node leads.
    pub active: watch::Receiver<Option<ActiveDocument>>,
}

/// Prepares sinks as they are asked for.
#[derive(Debug)]
pub struct PluginController {
    config: ControllerConfig,
    board: PluginState,
    /// What is asked for, unless it can not be read.
    desired: Option<Manifest>,
    key: watch::Receiver<Seen>,
    cluster_active: watch::Receiver<Seen>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// The watches of the keys.
    following: JoinSet<()>,
    /// The desired sink; at most one.
    preparing: JoinSet<(Option<Stamp>, Result<Candidate, PluginError>)>,
    /// When what could not be prepared is tried again, whatever has changed.
    again: Option<Instant>,
    backoff: Backoff,
    /// The sink that runs on the leader, where it is not the desired one.
    reviving: JoinSet<Option<Candidate>>,
    revived: Option<Kept>,
    /// Looks at the desired sink's file.
    polling: JoinSet<()>,
    file_changed: (watch::Sender<()>, watch::Receiver<()>),
    choice: watch::Sender<Choice>,
    status: watch::Sender<PluginStatus>,
    node_state: watch::Sender<NodeDocument>,
    active: watch::Sender<Option<ActiveDocument>>,
    /// What stands on disk as the last good sink.
    kept: Option<Kept>,
}

impl PluginController {
    /// Prepares the first sink: the one that the key asks for, else the last
    /// good one on disk, else that of the flag.
    ///
    /// # Errors
    /// None of them can run.
    pub async fn start(
        config: ControllerConfig,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Result<(Self, ControllerView), PluginError> {
        let mut following = JoinSet::new();
        let mut watched = |key: &str| {
            let (seen_in, seen) = watch::channel(Seen::Unknown);
            following.spawn(follow(config.client.clone(), key.to_owned(), seen_in));
            seen
        };
        let (mut key, cluster_active) =
            (watched(&config.keys.plugin), watched(&config.keys.active));
        let kept = config.preparer.store.load();
        let good = match kept.clone() {
            Some(kept) => Arc::clone(&config.preparer)
                .revive(kept)
                .await
                .map(Arc::new),
            None => None,
        };
        let answered = key.wait_for(|seen| *seen != Seen::Unknown);
        let first = match tokio::time::timeout(FIRST_ANSWER, answered).await {
            Ok(Ok(seen)) => seen.clone(),
            _ => Seen::Unknown,
        };
        let (origin, asked) = match (read(&first, &config.flag), &good) {
            ((Origin::Disk, _), Some(good)) => (Origin::Disk, Ok(good.manifest.clone())),
            ((Origin::Disk, asked), None) => (Origin::Flag, asked),
            (read, _) => read,
        };
        let prepare = |manifest: &Manifest| Arc::clone(&config.preparer).prepare(manifest.clone());
        let (stamp, found) = match &asked {
            Ok(manifest) => prepare(manifest).await,
            Err(_) => (None, Err(PluginError::Superseded)),
        };
        let problem = match (&asked, &found) {
            (Err(problem), _) => Some(problem.clone()),
            (Ok(_), Err(error)) => Some(one_line(&chain(error))),
            (Ok(_), Ok(_)) => None,
        };
        let wanted = match (found, &good) {
            (Ok(found), Some(good)) if found.is_same_as(good) => Arc::clone(good),
            (Ok(found), _) => Arc::new(found),
            (Err(_), Some(good)) => Arc::clone(good),
            // Whatever is wrong with the flag's sink, there is no other.
            (Err(_), None) => Arc::new(prepare(&config.flag).await.1?),
        };
        let manifest = asked.as_ref().unwrap_or(&config.flag);
        let mut board = PluginState::new(
            config.keys.plugin.clone(),
            manifest,
            origin,
            wanted,
            good,
            timestamp(),
        );
        let mut again = None;
        match (problem, &asked) {
            (None, _) => board.found(),
            (Some(problem), asked) => {
                tracing::error!(
                    error = problem,
                    "running another sink than the one asked for"
                );
                match asked {
                    Ok(_) => {
                        again = Some(Instant::now() + FIRST_AGAIN);
                        board.fail(problem);
                    }
                    Err(_) => board.ask_in_vain(origin, problem),
                }
            }
        }
        let status = board.status(timestamp);
        let node_state = board.node_state(&config.node, &status);
        let (choice_in, choice) = watch::channel(board.choice());
        let (status_in, status) = watch::channel(status);
        let (node_state_in, node_state) = watch::channel(node_state);
        let (active_in, active) = watch::channel(None);
        let mut rollout = Self {
            config,
            board,
            desired: asked.ok(),
            key,
            cluster_active,
            reports,
            following,
            preparing: JoinSet::new(),
            again,
            backoff: Backoff::new(FIRST_AGAIN, LAST_AGAIN),
            reviving: JoinSet::new(),
            revived: None,
            polling: JoinSet::new(),
            file_changed: watch::channel(()),
            choice: choice_in,
            status: status_in,
            node_state: node_state_in,
            active: active_in,
            kept,
        };
        rollout.poll(stamp);
        let view = ControllerView {
            choice,
            status,
            node_state,
            active,
        };
        Ok((rollout, view))
    }

    /// Runs for as long as anybody reports.
    pub async fn run(mut self) {
        loop {
            let again = self.again;
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(report) => self.report(report).await,
                    None => return,
                },
                Ok(()) = self.key.changed() => self.key_changed(),
                Ok(()) = self.file_changed.1.changed() => self.file_changed(),
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    self.prepare();
                }
                Some(done) = self.preparing.join_next() => match done {
                    Ok((stamp, result)) => self.prepared(stamp, result),
                    Err(error) => self.prepared(None, Err(PluginError::Panicked(error))),
                },
                Ok(()) = self.cluster_active.changed() => self.leader_runs().await,
                Some(done) = self.reviving.join_next() => match done {
                    Ok(Some(candidate)) => self.is_good(&Arc::new(candidate)).await,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "preparing the leader's sink failed"),
                },
                // They never end by themselves.
                Some(ended) = self.following.join_next() => {
                    tracing::error!(?ended, "the watch of a key has ended");
                    return;
                }
            }
            self.publish();
        }
    }

    fn publish(&mut self) {
        let status = self.board.status(timestamp);
        let node = &self.config.node;
        replace(&self.active, self.board.active(node, &status));
        replace(&self.node_state, self.board.node_state(node, &status));
        replace(&self.status, status);
        let choice = self.board.choice();
        self.choice.send_if_modified(|before| {
            let is_same = Arc::ptr_eq(&before.wanted, &choice.wanted)
                && match (&before.good, &choice.good) {
                    (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                    (None, None) => true,
                    _ => false,
                };
            *before = choice;
            !is_same
        });
    }

    fn key_changed(&mut self) {
        let seen = self.key.borrow_and_update().clone();
        let (origin, asked) = read(&seen, &self.config.flag);
        if origin == Origin::Disk {
            return;
        }
        // What is still under way is of another manifest.
        self.preparing = JoinSet::new();
        self.polling = JoinSet::new();
        self.again = None;
        self.backoff.reset();
        match asked {
            Ok(manifest) => {
                tracing::info!(plugin = %manifest.source, "asked for a sink");
                self.board.ask(&manifest, origin);
                self.desired = Some(manifest);
                self.prepare();
            }
            Err(problem) => {
                tracing::error!(
                    error = problem,
                    "keeping the sink: the one asked for is unclear"
                );
                self.desired = None;
                self.board.ask_in_vain(origin, problem);
            }
        }
    }

    /// Prepares what is asked for, in place of what was being prepared.
    fn prepare(&mut self) {
        self.preparing = JoinSet::new();
        self.again = None;
        let Some(manifest) = self.desired.clone() else {
            return;
        };
        // Boxed: it is large, and rare.
        let preparing: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(Arc::clone(&self.config.preparer).prepare(manifest));
        self.preparing.spawn(preparing);
    }

    fn poll(&mut self, stamp: Option<Stamp>) {
        self.polling = JoinSet::new();
        let source = self.desired.as_ref().map(|manifest| &manifest.source);
        if let Some(source @ Source::File(_)) = source {
            let changed = self.file_changed.0.clone();
            self.polling.spawn(look_at(source.clone(), stamp, changed));
        }
    }

    fn file_changed(&mut self) {
        let Some(manifest) = &self.desired else {
            return;
        };
        // What is pinned and was found can not become another.
        let is_found = self.preparing.is_empty() && !self.board.has_problem();
        if manifest.sha256.is_some() && is_found {
            return;
        }
        tracing::info!(plugin = %manifest.source, "the sink's file has changed");
        self.prepare();
    }

    fn prepared(&mut self, stamp: Option<Stamp>, result: Result<Candidate, PluginError>) {
        self.poll(stamp);
        match result {
            Ok(candidate) => {
                tracing::info!(
                    plugin = candidate.identity().source,
                    sha256 = candidate.identity().sha256,
                    "the sink is prepared"
                );
                self.backoff.reset();
                self.board.prepared(candidate);
            }
            Err(error) => {
                let problem = one_line(&chain(&error));
                if !self.board.has_problem_like(&problem) {
                    tracing::error!(
                        error = problem,
                        "keeping the sink: the one asked for can not be used"
                    );
                }
                self.again = Some(Instant::now() + self.backoff.next(None));
                self.board.fail(problem);
            }
        }
    }

    async fn report(&mut self, report: Report) {
        let good = match &report {
            Report::Running(candidate) => Some(Arc::clone(candidate)),
            _ => None,
        };
        let is_over = matches!(report, Report::Standby);
        self.board.report(report);
        if let Some(good) = good {
            // Before the disk is waited for.
            self.publish();
            self.keep(&good).await;
        }
        if is_over {
            self.leader_runs().await;
        }
    }

    /// Learns from the leader which sink works, or works no more than before.
    async fn leader_runs(&mut self) {
        let Seen::Present { value, .. } = self.cluster_active.borrow_and_update().clone() else {
            return;
        };
        let Ok(active) = serde_json::from_slice::<ActiveDocument>(&value) else {
            return;
        };
        let Ok(manifest) = active.manifest.parse::<Manifest>() else {
            return;
        };
        // Our own word comes back late, and may be of the sink before.
        if active.state != PluginPhase::Running || self.board.is_running() {
            return;
        }
        let is_it = |c: &&Arc<Candidate>| c.is_of(&manifest, &active.plugin.sha256);
        let known = [Some(self.board.wanted()), self.board.good()];
        let known = known.into_iter().flatten().find(is_it).cloned();
        match known {
            Some(known) => self.is_good(&known).await,
            None => self.revive(manifest, active.plugin.sha256),
        }
    }

    /// A node that was not there when the leader's sink was asked for still
    /// needs it, should the desired one not open.
    fn revive(&mut self, manifest: Manifest, sha256: String) {
        let kept = Kept {
            manifest: manifest.to_string(),
            sha256,
        };
        if self.revived.as_ref() == Some(&kept) {
            return;
        }
        self.revived = Some(kept.clone());
        self.reviving = JoinSet::new();
        let preparer = Arc::clone(&self.config.preparer);
        self.reviving.spawn(async move {
            let pinned = Manifest {
                sha256: Some(kept.sha256.clone()),
                ..manifest.clone()
            };
            // From where it came, or else from this node's own disk.
            match Arc::clone(&preparer).prepare(pinned).await.1 {
                Ok(candidate) => Some(candidate.asked_by(manifest)),
                Err(error) => {
                    tracing::debug!(error = chain(&error), "the leader's sink is not at hand");
                    preparer.revive(kept).await
                }
            }
        });
    }

    async fn is_good(&mut self, candidate: &Arc<Candidate>) {
        self.board.is_good(candidate);
        self.keep(candidate).await;
    }

    async fn keep(&mut self, candidate: &Arc<Candidate>) {
        let kept = candidate.kept();
        if self.kept.as_ref() == Some(&kept) {
            return;
        }
        let (preparer, note) = (Arc::clone(&self.config.preparer), kept.clone());
        let is_inside = matches!(candidate.manifest.source, Source::Builtin(_));
        let error = match spawn_blocking(move || preparer.store.keep(&note, is_inside)).await {
            Ok(Ok(())) => {
                self.kept = Some(kept);
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(error) => chain(&error),
        };
        tracing::warn!(error, "the last good sink can not be kept on disk");
    }
}

/// Wasmtime's reasons can be of many lines; logs and tables have one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn replace<T: PartialEq>(sender: &watch::Sender<T>, now: T) {
    sender.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
}

/// What the key asks for.
fn read(seen: &Seen, flag: &Manifest) -> (Origin, Result<Manifest, String>) {
    match seen {
        Seen::Unknown => (Origin::Disk, Ok(flag.clone())),
        Seen::Absent => (Origin::Flag, Ok(flag.clone())),
        Seen::Present { index, value } => match Manifest::from_value(value) {
            Ok(Some(manifest)) => (Origin::Key(*index), Ok(manifest)),
            Ok(None) => (Origin::Flag, Ok(flag.clone())),
            Err(error) => (Origin::Key(*index), Err(chain(&error))),
        },
    }
}

/// Tells of every change of a source's file, once it rests.
async fn look_at(source: Source, mut seen: Option<Stamp>, changed: watch::Sender<()>) {
    let look = || {
        let source = source.clone();
        async move { spawn_blocking(move || source.stamp()).await.ok().flatten() }
    };
    loop {
        tokio::time::sleep(POLL).await;
        let mut now = look().await;
        if now == seen {
            continue;
        }
        loop {
            tokio::time::sleep(REST).await;
            let then = std::mem::replace(&mut now, look().await);
            if then == now {
                break;
            }
        }
        seen = now;
        changed.send_replace(());
    }
}
