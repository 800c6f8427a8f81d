//! How far the wanted sink may go: it waits for other nodes, runs, or is taken
//! back.

use std::sync::Arc;

use super::PluginState;
use crate::plugin::asked::Origin;
use crate::plugin::candidate::Candidate;
use crate::plugin::leader_sink::LeaderSays;
use crate::plugin::report::{Choice, WatchFor};
use crate::plugin::rollout::remembered;
use crate::plugin::rollout_wanted::WaitFor;
use sluice_delivery::{ProbationTerms, Verdict};
use sluice_types::documents::{FailedManifest, NodeDocument, PreparedManifest};

impl PluginState {
    pub(in crate::plugin) fn choice(&self) -> Choice {
        let target = self.target();
        let is_good = self.is_good(target);
        let watch = match target.manifest.rollout.probation() {
            _ if is_good && self.doubt().is_some() => WatchFor::SecondOpinion,
            Some(time) if !is_good => match &self.good {
                Some(good) => WatchFor::Probation(ProbationTerms {
                    time,
                    compares_times: target.manifest.has_write_times_of(&good.manifest),
                }),
                None => WatchFor::Nothing,
            },
            _ => WatchFor::Nothing,
        };
        let is_taken_back = self.is_taken_back() && self.predecessor().is_some();
        Choice {
            wanted: Arc::clone(target),
            watch,
            good: self.good.clone(),
            last_resort: is_taken_back.then(|| Arc::clone(&self.wanted)),
        }
    }

    /// The sink that comes back if the wanted one fails, or runs until that one
    /// may go live.
    pub(super) fn predecessor(&self) -> Option<&Arc<Candidate>> {
        let good = self.good.as_ref();
        good.filter(|good| !Arc::ptr_eq(good, &self.wanted))
    }

    /// The sink that is to run.
    pub(super) fn target(&self) -> &Arc<Candidate> {
        match self.predecessor() {
            Some(predecessor) if self.rollout.steps_back || self.waits_for().is_some() => {
                predecessor
            }
            _ => self.not_taken_back(),
        }
    }

    /// The wanted sink, or its predecessor if it was taken back.
    pub(super) fn not_taken_back(&self) -> &Arc<Candidate> {
        match self.predecessor() {
            Some(predecessor) if self.is_taken_back() => predecessor,
            _ => &self.wanted,
        }
    }

    pub(super) fn is_taken_back(&self) -> bool {
        self.keeps_back().is_some() || self.doubt().is_some()
    }

    /// The failure because of which the wanted sink must not run. None if the wanted
    /// one is known to work by now.
    pub(super) fn keeps_back(&self) -> Option<&FailedManifest> {
        self.failed().filter(|_| !self.is_good(&self.wanted))
    }

    /// The manifest that is asked for, if it has failed.
    pub(super) fn failed(&self) -> Option<&FailedManifest> {
        let is_asked_for = |failed: &&FailedManifest| {
            failed.index == self.origin.index() && failed.prepared.manifest == self.desired_manifest
        };
        self.rollout.failed.as_ref().filter(is_asked_for)
    }

    pub(super) fn doubt(&self) -> Option<&str> {
        self.rollout.doubt(&self.wanted)
    }

    /// The nodes that must prepare the wanted sink before it may go live.
    pub(super) fn waits_for(&self) -> Option<Vec<String>> {
        let Origin::Key(index) = self.origin else {
            return None;
        };
        let must_wait = self.wanted.manifest.rollout.wait == WaitFor::All;
        let is_prepared = !self.preparing && self.problem.is_none();
        if !must_wait || !is_prepared || self.is_taken_back() {
            return None;
        }
        self.predecessor()?;
        self.rollout.waits_for(&self.wanted, index)
    }

    /// The same while this node leads.
    pub(in crate::plugin) fn leader_waits_for(&self) -> Option<Vec<String>> {
        self.waits_for().filter(|_| self.is_running())
    }

    /// Takes note of the nodes that are present. `own` is the name of this one.
    pub(in crate::plugin) fn set_nodes(&mut self, own: &str, nodes: Option<&Vec<NodeDocument>>) {
        let others = |nodes: &Vec<NodeDocument>| {
            let others = nodes.iter().filter(|node| node.node != own);
            others.cloned().collect()
        };
        self.rollout.others = nodes.map(others);
    }

    /// Takes note of what the leader says about roll-outs.
    pub(in crate::plugin) fn leader_says(&mut self, says: &LeaderSays) {
        if let Some(failed) = &says.failed {
            self.rollout.failed = Some(failed.clone());
        }
        self.rollout.live.clone_from(&says.live);
        self.rollout.live_is_unproven = says.proven != says.live;
    }

    /// A sink that was watched has got its verdict.
    pub(super) fn judged(&mut self, candidate: &Arc<Candidate>, verdict: Verdict) {
        match verdict {
            Verdict::Passed => {
                self.rollout.trial = None;
                self.works(candidate);
            }
            Verdict::Failed(_) | Verdict::Doubted(_) if !Arc::ptr_eq(candidate, &self.wanted) => {
                tracing::error!(
                    plugin = candidate.identity().source,
                    "the sink that runs has failed: the one before it runs until the one that is \
                     asked for opens"
                );
                self.rollout.steps_back = true;
            }
            Verdict::Failed(reason) => self.condemn(candidate, reason),
            Verdict::Doubted(reason) => {
                tracing::warn!(
                    plugin = candidate.identity().source,
                    reason,
                    "the new sink is in doubt: the one before it shows whether it delivers"
                );
                self.rollout.doubted = Some((Arc::clone(candidate), reason));
            }
            Verdict::Delivers => {
                if let Some((doubted, reason)) = self.rollout.doubted.take() {
                    let reason = format!("{reason}; the sink before it delivers");
                    self.condemn(&doubted, reason);
                }
            }
            Verdict::Acquits => self.rollout.doubted = None,
        }
    }

    /// The last good sink will not open, so that the one that runs goes on.
    pub(super) fn does_not_come_back(&mut self, good: &Arc<Candidate>) {
        if let Some((doubted, reason)) = self.rollout.doubted.take() {
            tracing::error!(
                plugin = doubted.identity().source,
                reason,
                before = good.identity().source,
                "keeping a sink with which something went wrong: the one before it does not open"
            );
        }
    }

    /// The wanted sink has failed, and must not be tried again until the key
    /// changes.
    pub(super) fn condemn(&mut self, candidate: &Arc<Candidate>, reason: String) {
        let Some(predecessor) = self.predecessor().cloned() else {
            return;
        };
        if !Arc::ptr_eq(candidate, &self.wanted) {
            return;
        }
        tracing::error!(
            plugin = candidate.identity().source,
            reason,
            "the new sink has failed: the one before it runs until the manifest changes"
        );
        // If something else is asked for by now, it only stood in.
        if self.preparing || self.problem.is_some() {
            self.wanted = predecessor;
            return;
        }
        self.rollout.failed = Some(FailedManifest {
            at: String::new(),
            index: self.origin.index(),
            prepared: PreparedManifest {
                manifest: remembered(&candidate.manifest.to_string()),
                sha256: candidate.identity().sha256.clone(),
            },
            reason,
        });
    }
}
