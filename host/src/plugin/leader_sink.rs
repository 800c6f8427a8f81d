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
use sluice_types::documents::ActiveDocument;
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

    /// The manifest and the digest of the sink that runs on the leader; `None`
    /// if none does.
    pub(super) fn running(&mut self) -> Option<(Manifest, String)> {
        let seen = self.active.borrow_and_update();
        let Seen::Present { value, .. } = &*seen else {
            return None;
        };
        let active: ActiveDocument = serde_json::from_slice(value).ok()?;
        let manifest = active.manifest.parse().ok()?;
        (active.state == PluginPhase::Running).then_some((manifest, active.plugin.sha256))
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
