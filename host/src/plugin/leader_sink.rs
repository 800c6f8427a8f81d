//! The sink that runs on the leader. A node that does not have it prepares it
//! as well, because it may be needed if the desired sink does not open.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::candidate::{Candidate, Prepare, Trial};
use super::manifest::Manifest;
use super::retry_delay::{FIRST_RETRY_DELAY, MAX_RETRY_DELAY};
use super::store::Kept;
use sluice_consul::Seen;
use sluice_types::backoff::Backoff;
use sluice_types::documents::{ActiveDocument, FailedManifest, PreparedManifest};
use sluice_types::error_chain::chain;
use sluice_types::plugin::PluginPhase;

#[derive(Debug)]
pub(super) struct LeaderSink {
    preparer: Arc<dyn Prepare>,
    /// The key `<c>/active`.
    active: watch::Receiver<Seen>,
    /// At most one task.
    preparing: JoinSet<Option<Candidate>>,
    /// The sink that is prepared, or was.
    tried: Option<Kept>,
    /// When one that could not be prepared is tried again.
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// What the leader has written about its sink.
#[derive(Debug)]
pub(super) struct LeaderSays {
    /// The manifest and the digest of the sink that runs.
    pub(super) live: Option<(Manifest, String)>,
    /// The same of the sink that is known to work: not one that is on probation.
    pub(super) proven: Option<(Manifest, String)>,
    /// The manifest that must not be tried again.
    pub(super) failed: Option<FailedManifest>,
}

/// What is new about the leader's sink.
#[derive(Debug)]
pub(super) enum LeaderEvent {
    /// The leader has written its key.
    Changed,
    /// Its sink is prepared on this node.
    Prepared(Arc<Candidate>),
}

impl LeaderSink {
    pub(super) fn new(preparer: Arc<dyn Prepare>, active: watch::Receiver<Seen>) -> Self {
        Self {
            preparer,
            active,
            preparing: JoinSet::new(),
            tried: None,
            retry_at: None,
            backoff: Backoff::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY),
        }
    }

    /// Gives up preparing.
    pub(super) async fn stop(&mut self) {
        self.preparing.shutdown().await;
    }

    /// Waits for news. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> LeaderEvent {
        loop {
            tokio::select! {
                Ok(()) = self.active.changed() => return LeaderEvent::Changed,
                Some(done) = self.preparing.join_next() => match done {
                    Ok(Some(candidate)) => return LeaderEvent::Prepared(Arc::new(candidate)),
                    Ok(None) => self.retry_at = Some(Instant::now() + self.backoff.next(None)),
                    Err(error) => tracing::error!(%error, "preparing the leader's sink failed"),
                },
                () = sleep_until(self.retry_at.unwrap_or_else(Instant::now)), if self.retry_at.is_some() => {
                    self.retry_at = None;
                    self.tried = None;
                    return LeaderEvent::Changed;
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Waits until Consul has answered whether there is a leader's sink.
    pub(super) async fn known(&mut self) {
        // A sender that is gone tells nothing more.
        drop(self.active.wait_for(|seen| *seen != Seen::Unknown).await);
    }

    /// Makes [`next`](Self::next) tell of what was read before.
    pub(super) fn read_again(&mut self) {
        self.active.mark_changed();
    }

    /// What the leader says; `None` if no leader has said anything.
    pub(super) fn says(&mut self) -> Option<LeaderSays> {
        let seen = self.active.borrow_and_update();
        let Seen::Present { value, .. } = &*seen else {
            return None;
        };
        let active: ActiveDocument = serde_json::from_slice(value).ok()?;
        let is_running = active.state == PluginPhase::Running;
        let live = PreparedManifest {
            manifest: active.manifest,
            sha256: active.plugin.sha256,
        };
        let live = is_running.then_some(live);
        let predecessor = active.probation.map(|probation| probation.predecessor);
        // What has failed runs only on a leader that has nothing else.
        let has_failed = |live: &&PreparedManifest| {
            let failed = active.failed.as_ref();
            failed.is_some_and(|failed| {
                (failed.index, &failed.prepared.sha256) == (active.index, &live.sha256)
            })
        };
        Some(LeaderSays {
            proven: live
                .as_ref()
                .filter(|live| !active.unproven && !has_failed(live))
                .and_then(|live| parse(predecessor.as_ref().unwrap_or(live))),
            live: live.as_ref().and_then(parse),
            failed: active.failed,
        })
    }

    /// Prepares the sink from its source, or else from this node's own copy.
    pub(super) fn prepare(&mut self, manifest: Manifest, sha256: String) {
        let kept = Kept {
            manifest: manifest.to_string(),
            sha256,
        };
        if self.tried.as_ref() == Some(&kept) {
            return;
        }
        if self.retry_at.take().is_none() {
            self.backoff.reset();
        }
        self.tried = Some(kept.clone());
        self.preparing = JoinSet::new();
        let preparer = Arc::clone(&self.preparer);
        self.preparing.spawn(async move {
            let pinned = Manifest {
                sha256: Some(kept.sha256.clone()),
                ..manifest.clone()
            };
            let prepared = Arc::clone(&preparer)
                .prepare(pinned, Trial::AskedAt(0))
                .await;
            match prepared.1 {
                Ok(candidate) => Some(Candidate::new(manifest, candidate.sink)),
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(error, "the source does not have the leader's sink");
                    preparer.revive(kept).await
                }
            }
        });
    }
}

fn parse(prepared: &PreparedManifest) -> Option<(Manifest, String)> {
    let manifest = prepared.manifest.parse().ok()?;
    Some((manifest, prepared.sha256.clone()))
}
