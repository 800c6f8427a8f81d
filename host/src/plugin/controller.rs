//! Follows the manifest's key, prepares the sink that it asks for while the
//! previous one runs, and publishes which sinks could run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::asked::Asked;
use super::boot::{Boot, Done, LastResort, boot};
use super::candidate::{Candidate, Prepare, Trial};
use super::error::PluginError;
use super::file_watch::FileWatch;
use super::last_good::LastGood;
use super::leader_sink::{LeaderEvent, LeaderSays, LeaderSink};
use super::manifest::Manifest;
use super::report::Report;
use super::retry_delay::{FIRST_RETRY_DELAY, MAX_RETRY_DELAY};
use super::source::Stamp;
use super::state::PluginState;
use super::view::{ControllerView, Publisher};
use super::watched_keys::WatchedKeys;
use sluice_consul::Seen;
use sluice_delivery::Verdict;
use sluice_types::backoff::Backoff;
use sluice_types::documents::NodeDocument;
use sluice_types::plugin::Identity;

/// How long a node that starts waits to learn which manifest has failed. It has
/// asked together with the manifest's key.
const LEADER_TIMEOUT: Duration = Duration::from_millis(250);

/// The documents of the nodes that are present; `None` until Consul has answered.
type Nodes = watch::Receiver<Option<Arc<Vec<NodeDocument>>>>;

/// What the controller works with.
#[derive(Debug)]
pub(crate) struct ControllerConfig {
    /// The keys of the stream that the sinks are for.
    pub(crate) keys: WatchedKeys,
    /// This node's name.
    pub(crate) node: String,
    /// The sink while the key is absent or empty.
    pub(crate) flag: Manifest,
    /// What runs if neither the sink that is asked for nor the last good one can.
    pub(crate) last_resort: LastResort,
    /// Prepares sinks.
    pub(crate) preparer: Arc<dyn Prepare>,
}

/// Prepares sinks as they are asked for.
#[derive(Debug)]
pub(crate) struct PluginController {
    preparer: Arc<dyn Prepare>,
    flag: Manifest,
    key: watch::Receiver<Seen>,
    reports: mpsc::UnboundedReceiver<Report>,
    following: JoinSet<()>,
    state: PluginState,
    /// The manifest that is asked for, unless it cannot be read.
    desired: Option<Manifest>,
    /// Prepares the desired sink; at most one task.
    preparing: JoinSet<Done>,
    /// When the desired sink is prepared again.
    retry_at: Option<Instant>,
    backoff: Backoff,
    file_watch: FileWatch,
    leader_sink: LeaderSink,
    last_good: LastGood,
    publisher: Publisher,
    /// The nodes that the log says are waited for.
    logged_waiting: Option<Vec<String>>,
}

impl PluginController {
    /// Prepares the first sink: the one that the key asks for, else the last
    /// good one on disk, else that of the flag. If there is a last good one, the
    /// other may still be being prepared when this returns.
    ///
    /// # Errors
    /// None of them can run.
    pub(crate) async fn start(
        config: ControllerConfig,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Result<(Self, ControllerView), PluginError> {
        let ControllerConfig {
            mut keys,
            node,
            flag,
            last_resort,
            preparer,
        } = config;
        let booted = boot(&preparer, &flag, last_resort, &mut keys).await?;
        let Boot {
            mut state,
            desired,
            stamp,
            kept,
            preparing,
            must_retry,
        } = booted;
        let (publisher, view) = Publisher::new(node, &mut state);
        let mut controller = Self {
            leader_sink: LeaderSink::new(Arc::clone(&preparer), keys.active),
            last_good: LastGood::new(Arc::clone(&preparer), kept),
            file_watch: FileWatch::new(Arc::clone(&preparer)),
            preparer,
            flag,
            key: keys.plugin,
            reports,
            following: keys.following,
            state,
            desired,
            preparing,
            retry_at: must_retry.then(|| Instant::now() + FIRST_RETRY_DELAY),
            backoff: Backoff::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY),
            publisher,
            logged_waiting: None,
        };
        controller.learn_what_failed().await;
        match controller.preparing.is_empty() {
            true => controller.watch_file(stamp),
            false => controller.watch_file_from_now(),
        }
        Ok((controller, view))
    }

    /// A manifest that has failed is not tried by a node that restarts.
    async fn learn_what_failed(&mut self) {
        if self.state.choice().good.is_none() {
            return;
        }
        if timeout(LEADER_TIMEOUT, self.leader_sink.known())
            .await
            .is_err()
        {
            tracing::debug!("Consul has not said which sink the leader runs");
        }
        if let Some(says) = self.leader_sink.says() {
            self.state.leader_says(&says);
            self.publisher.publish(&mut self.state);
        }
        // The sink that it runs is prepared once the node serves.
        self.leader_sink.read_again();
    }

    /// Runs until the sender of reports is dropped. `nodes` are those that are
    /// present.
    pub(crate) async fn run(mut self, nodes: Nodes) {
        self.follow(nodes).await;
        // Waits until nothing is compiled any more: what still is when the node
        // ends counts as interrupted.
        self.preparing.shutdown().await;
        self.leader_sink.stop().await;
    }

    async fn follow(&mut self, mut nodes: Nodes) {
        nodes.mark_changed();
        loop {
            let retry_at = self.retry_at;
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(report) => self.handle_report(report).await,
                    None => return,
                },
                Ok(()) = self.key.changed() => self.handle_key(),
                Ok(()) = nodes.changed() => {
                    let nodes = nodes.borrow_and_update().clone();
                    self.state.set_nodes(self.publisher.node(), nodes.as_deref());
                }
                () = self.file_watch.changed() => self.handle_file(),
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => {
                    self.prepare();
                }
                Some(done) = self.preparing.join_next() => {
                    let panicked = |error| (None, Err(PluginError::Panicked(error)));
                    let (stamp, result) = done.unwrap_or_else(panicked);
                    self.handle_prepared(stamp, result);
                }
                event = self.leader_sink.next() => match event {
                    LeaderEvent::Changed => self.follow_leader().await,
                    LeaderEvent::Prepared(candidate) => self.keep(&candidate).await,
                },
                Some(ended) = self.following.join_next() => {
                    tracing::error!(?ended, "the watch of a key has ended");
                    return;
                }
            }
            self.publisher.publish(&mut self.state);
            self.log_waiting();
        }
    }

    /// Logs for whom the roll-out waits if that has changed.
    fn log_waiting(&mut self) {
        let waits_for = self.state.leader_waits_for();
        if waits_for == self.logged_waiting {
            return;
        }
        match &waits_for {
            Some(nodes) if nodes.is_empty() => {
                tracing::info!("keeping the sink: the nodes are not known yet");
            }
            Some(nodes) => tracing::info!(
                nodes = nodes.join(", "),
                "keeping the sink: these nodes have yet to prepare the one that is asked for"
            ),
            None => tracing::info!("no longer waiting for nodes to prepare a sink"),
        }
        self.logged_waiting = waits_for;
    }

    fn handle_key(&mut self) {
        let asked = Asked::by_key(&self.key.borrow_and_update(), &self.flag);
        let Some(asked) = asked else {
            return;
        };
        self.backoff.reset();
        self.state.ask(&asked);
        match &asked.manifest {
            Ok(manifest) => tracing::info!(plugin = %manifest.source, "a sink is asked for"),
            Err(error) => tracing::error!(error, "keeping the sink: the manifest cannot be read"),
        }
        self.desired = asked.manifest.ok();
        self.watch_file_from_now();
        self.prepare();
    }

    /// Prepares the desired sink, if there is one, instead of what is being
    /// prepared.
    fn prepare(&mut self) {
        self.preparing = JoinSet::new();
        self.retry_at = None;
        if let Some(manifest) = self.desired.clone() {
            let preparer = Arc::clone(&self.preparer);
            let trial = Trial::AskedAt(self.state.asked_at());
            self.preparing.spawn(preparer.prepare(manifest, trial));
        }
    }

    fn watch_file(&mut self, read: Option<Stamp>) {
        match &self.desired {
            Some(manifest) => self.file_watch.watch(&manifest.source, read),
            None => self.file_watch.stop(),
        }
    }

    /// Watches the file while it is being prepared, which may take long. What
    /// changes just before the watch begins is noticed by
    /// [`watch_file`](Self::watch_file).
    fn watch_file_from_now(&mut self) {
        match &self.desired {
            Some(manifest) => self.file_watch.watch_from_now(&manifest.source),
            None => self.file_watch.stop(),
        }
    }

    fn handle_file(&mut self) {
        let Some(manifest) = &self.desired else {
            return;
        };
        // A pinned component that was found cannot become another one. If it is
        // not found, the end of the preparation tells, and the file is watched on.
        let may_be_found = !self.preparing.is_empty() || !self.state.has_problem();
        if manifest.sha256.is_some() && may_be_found {
            return;
        }
        tracing::info!(plugin = %manifest.source, "the sink's file has changed");
        self.prepare();
    }

    fn handle_prepared(&mut self, stamp: Option<Stamp>, result: Result<Candidate, PluginError>) {
        self.watch_file(stamp);
        match result {
            Ok(candidate) => {
                let Identity { source, sha256 } = candidate.identity();
                tracing::info!(plugin = source, sha256, "the sink is prepared");
                self.backoff.reset();
                self.state.prepared(candidate);
            }
            Err(error) => {
                let problem = error.one_line();
                if !self.state.has_same_problem(&problem) {
                    tracing::error!(
                        error = problem,
                        "keeping the sink: the one that is asked for cannot be prepared"
                    );
                }
                let must_retry = !error.is_final();
                self.retry_at = must_retry.then(|| Instant::now() + self.backoff.next(None));
                self.state.preparation_failed(problem);
            }
        }
    }

    async fn handle_report(&mut self, report: Report) {
        self.state.report(report.clone());
        match report {
            Report::Running(candidate) => {
                // Published before the disk is written, which may take long.
                self.publisher.publish(&mut self.state);
                if self.state.is_good(&candidate) {
                    self.last_good.keep(&candidate).await;
                }
            }
            Report::Judged(candidate, Verdict::Passed) => {
                self.publisher.publish(&mut self.state);
                self.last_good.keep(&candidate).await;
            }
            Report::Standby => self.follow_leader().await,
            Report::Failed { .. }
            | Report::OnProbation(..)
            | Report::LastResort(_)
            | Report::Judged(..)
            | Report::Opening => {}
        }
    }

    /// Learns from the leader which sink works.
    async fn follow_leader(&mut self) {
        let Some(says) = self.leader_sink.says() else {
            return;
        };
        // This node is the leader itself: its own key arrives late, and may be
        // about the previous sink.
        if self.state.is_running() {
            return;
        }
        self.state.leader_says(&says);
        let LeaderSays {
            proven: Some((manifest, sha256)),
            ..
        } = says
        else {
            return;
        };
        match self.state.find(&manifest, &sha256) {
            Some(known) => self.keep(&known).await,
            None => self.leader_sink.prepare(manifest, sha256),
        }
    }

    /// Takes note, also on disk, that a sink works.
    async fn keep(&mut self, candidate: &Arc<Candidate>) {
        self.state.works(candidate);
        self.last_good.keep(candidate).await;
    }
}

#[cfg(test)]
mod tests;
