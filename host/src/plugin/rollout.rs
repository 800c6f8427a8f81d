//! How far the roll-out of the desired manifest is, beyond its preparation.

use std::sync::Arc;
use std::time::Duration;

use super::candidate::Candidate;
use super::manifest::Manifest;
use sluice_types::documents::{FailedManifest, NodeDocument, PreparedManifest};
use sluice_types::excerpt::excerpt;
use sluice_types::readable;

/// The most nodes that are named where some are waited for.
const NAMED_MAX: usize = 16;

/// How much of a manifest that failed is remembered, in characters.
const REMEMBERED_CHARS: usize = 4096;

/// What is known of roll-outs.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    /// The manifest that failed last. It counts as long as its key asks for it.
    pub(super) failed: Option<FailedManifest>,
    /// The candidate with which something went wrong, and what, while its
    /// predecessor shows whether that is its own fault.
    pub(super) doubted: Option<(Arc<Candidate>, String)>,
    /// The sink that runs has failed, and the wanted one has not opened yet: the last
    /// good one is to run first.
    pub(super) steps_back: bool,
    /// The candidate that is on probation here, and for how long.
    pub(super) trial: Option<(Arc<Candidate>, Duration)>,
    /// The latest candidate that this node has switched to as the leader.
    launched: Option<Arc<Candidate>>,
    /// The manifest and the digest of the sink that runs on the leader, or ran on
    /// the last one.
    pub(super) live: Option<(Manifest, String)>,
    /// Whether that has not passed its probation.
    pub(super) live_is_unproven: bool,
    /// The candidate that runs here without a predecessor that it could be compared
    /// with, and without having proved to work.
    pub(super) unproven: Option<Arc<Candidate>>,
    /// The other nodes that are present; `None` until Consul has answered.
    pub(super) others: Option<Vec<NodeDocument>>,
}

impl Rollout {
    /// This node has switched to the candidate: it waits for no node any more.
    pub(super) fn launched(&mut self, candidate: &Arc<Candidate>) {
        self.launched = Some(Arc::clone(candidate));
    }

    /// Another manifest is asked for, at this index: what failed before it counts
    /// no more.
    pub(super) fn forget_failures_before(&mut self, index: u64) {
        self.failed = self.failed.take().filter(|failed| failed.index >= index);
    }

    /// The names of the nodes that have yet to prepare the candidate that was
    /// asked for at this index; `None` if there are none. Empty if the nodes are
    /// not known.
    pub(super) fn waits_for(&self, candidate: &Arc<Candidate>, index: u64) -> Option<Vec<String>> {
        if self.is_launched(candidate) {
            return None;
        }
        let Some(others) = &self.others else {
            return Some(Vec::new());
        };
        let digest = &candidate.identity().sha256;
        let missing = others.iter();
        let missing = missing.filter(|node| !node.has_prepared(index, digest));
        let mut names: Vec<_> = missing.map(|node| readable::source(&node.node)).collect();
        let count = names.len();
        if count > NAMED_MAX {
            names.truncate(NAMED_MAX);
            names.push(format!("{} more", count - NAMED_MAX));
        }
        (count > 0).then_some(names)
    }

    fn is_launched(&self, candidate: &Arc<Candidate>) -> bool {
        let launched = self.launched.as_ref();
        let live = self.live.as_ref();
        launched.is_some_and(|launched| Arc::ptr_eq(launched, candidate))
            || live.is_some_and(|(manifest, sha256)| candidate.is_of(manifest, sha256))
    }

    /// Whether this candidate has run without having proved to work, here or on the
    /// leader.
    pub(super) fn is_unproven(&self, candidate: &Arc<Candidate>) -> bool {
        let own = self.unproven.as_ref();
        let live = self.live.as_ref().filter(|_| self.live_is_unproven);
        own.is_some_and(|own| Arc::ptr_eq(own, candidate))
            || live.is_some_and(|(manifest, sha256)| candidate.is_of(manifest, sha256))
    }

    /// How long this candidate is on probation, if it is.
    pub(super) fn probation_of(&self, candidate: &Arc<Candidate>) -> Option<Duration> {
        let (on_trial, time) = self.trial.as_ref()?;
        Arc::ptr_eq(on_trial, candidate).then_some(*time)
    }

    /// Why this candidate is doubted, if it is.
    pub(super) fn doubt(&self, candidate: &Arc<Candidate>) -> Option<&str> {
        let (doubted, reason) = self.doubted.as_ref()?;
        Arc::ptr_eq(doubted, candidate).then_some(reason.as_str())
    }
}

/// The candidate as documents name it.
pub(super) fn prepared_manifest(candidate: &Candidate) -> PreparedManifest {
    PreparedManifest {
        manifest: candidate.manifest.to_string(),
        sha256: candidate.identity().sha256.clone(),
    }
}

/// A manifest as its failure is remembered: cut, so that it fits into a key
/// beside the manifest that runs.
pub(super) fn remembered(manifest: &str) -> String {
    excerpt(manifest, REMEMBERED_CHARS).into_owned()
}
