//! What is known of the sinks: which one is asked for, which could run, which
//! one does, and what is wrong. Pure state: no I/O, no clock, no tasks.

use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Origin};
use super::asked_index::AskedIndexes;
use super::candidate::Candidate;
use super::manifest::Manifest;
use super::report::Report;
use super::rollout::{Rollout, remembered};
use sluice_types::plugin::{ActivePlugin, PluginPhase, WantedPlugin};

mod documents;
mod progress;

/// What the stream on this node does.
#[derive(Debug)]
enum Serving {
    /// It does not lead.
    Standby,
    /// It leads, and no sink runs yet.
    Opening,
    /// It delivers to this sink.
    Running(Arc<Candidate>),
}

/// The last attempt to open a sink failed.
#[derive(Debug)]
struct OpenFailure {
    candidate: Arc<Candidate>,
    error: String,
    retrying: bool,
}

#[derive(Debug)]
pub(super) struct PluginState {
    /// The name of the manifest's key.
    key: String,
    desired: WantedPlugin,
    /// The desired manifest, as the failure of one is remembered.
    desired_manifest: String,
    origin: Origin,
    /// Whether the desired sink is still being prepared.
    preparing: bool,
    /// Why the desired sink could not be prepared.
    problem: Option<String>,
    wanted: Arc<Candidate>,
    good: Option<Arc<Candidate>>,
    open_failures: Vec<OpenFailure>,
    serving: Serving,
    rollout: Rollout,
    asked_indexes: AskedIndexes,
    /// What the status shows, and for which sink.
    shown: (Arc<Candidate>, ActivePlugin),
}

impl PluginState {
    /// The state of a node that starts with the wanted sink. `now` is a time
    /// in RFC 3339.
    pub(super) fn new(
        key: String,
        desired: &Manifest,
        origin: Origin,
        wanted: Arc<Candidate>,
        good: Option<Arc<Candidate>>,
        now: String,
    ) -> Self {
        let active = active_plugin(&wanted, PluginPhase::Prepared, now);
        Self {
            key,
            desired: wanted_plugin(desired),
            desired_manifest: remembered(&desired.to_string()),
            origin,
            preparing: false,
            problem: None,
            shown: (Arc::clone(&wanted), active),
            wanted,
            good,
            open_failures: Vec::new(),
            serving: Serving::Standby,
            rollout: Rollout::default(),
            asked_indexes: AskedIndexes::default(),
        }
    }

    pub(super) const fn has_problem(&self) -> bool {
        self.problem.is_some()
    }

    /// Whether the desired sink could not be prepared for the same reason.
    pub(super) fn has_same_problem(&self, problem: &str) -> bool {
        self.problem.as_deref() == Some(problem)
    }

    /// The index at which the key asked for the desired sink; 0 if something else
    /// did.
    pub(super) const fn asked_at(&self) -> u64 {
        self.origin.index()
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.serving, Serving::Running(_))
    }

    /// The wanted or the good candidate, if it is the component with this
    /// digest, run by this manifest.
    pub(super) fn find(&self, manifest: &Manifest, sha256: &str) -> Option<Arc<Candidate>> {
        let known = [Some(&self.wanted), self.good.as_ref()];
        let mut known = known.into_iter().flatten();
        known.find(|c| c.is_of(manifest, sha256)).cloned()
    }

    /// Another manifest is asked for, or the same one again.
    pub(super) fn ask(&mut self, asked: &Asked) {
        // What was taken back or waits for other nodes is not what runs until the next
        // one is prepared.
        self.wanted = Arc::clone(self.target());
        if asked.origin.index() != self.origin.index() {
            self.rollout
                .forget_failures_before(asked.origin.index().max(1));
        }
        self.origin = asked.origin;
        match &asked.manifest {
            Ok(manifest) => {
                self.desired = wanted_plugin(manifest);
                self.desired_manifest = remembered(&manifest.to_string());
                self.problem = None;
                self.preparing = true;
            }
            Err(problem) => {
                self.desired = WantedPlugin::default();
                self.desired_manifest.clear();
                self.preparation_failed(problem.clone());
            }
        }
    }

    /// The desired sink could not be prepared: the one that works stays.
    pub(super) fn preparation_failed(&mut self, problem: String) {
        self.preparing = false;
        self.problem = Some(problem);
        if self.is_good(&self.wanted) {
            // It may be about to replace one that has failed.
            return;
        }
        if let Serving::Running(running) = &self.serving {
            self.wanted = Arc::clone(running);
        } else if let Some(good) = &self.good {
            self.wanted = Arc::clone(good);
        }
    }

    /// The desired sink was prepared.
    pub(super) fn prepared(&mut self, candidate: Candidate) {
        self.preparing = false;
        self.problem = None;
        let running = match &self.serving {
            Serving::Running(running) => Some(running),
            _ => None,
        };
        let known = [running, Some(&self.wanted), self.good.as_ref()];
        // A candidate that did not open is replaced, so that it is tried again.
        let same = known
            .into_iter()
            .flatten()
            .find(|known| known.is_same_as(&candidate) && self.open_failure(known).is_none());
        self.wanted = match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(candidate),
        };
        self.adopt_wanted();
        let is_good = |c: &Arc<Candidate>| self.good.as_ref().is_some_and(|g| Arc::ptr_eq(g, c));
        self.open_failures
            .retain(|failure| is_good(&failure.candidate));
    }

    /// The wanted sink is the one that is asked for.
    pub(super) fn adopt_wanted(&mut self) {
        self.desired.sha256 = Some(self.wanted.identity().sha256.clone());
        self.asked_indexes.set(&self.wanted, self.origin.index());
    }

    /// This candidate works, here or on the leader.
    pub(super) fn works(&mut self, candidate: &Arc<Candidate>) {
        self.rollout.unproven = None;
        self.good = Some(Arc::clone(candidate));
        self.open_failures
            .retain(|failure| !Arc::ptr_eq(&failure.candidate, candidate));
        // Without the desired sink, nothing is better than one that works.
        if self.problem.is_some() && !self.is_running() {
            self.wanted = Arc::clone(candidate);
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Running(candidate) => {
                if self.is_unproven(&candidate) {
                    self.rollout.unproven = Some(Arc::clone(&candidate));
                } else {
                    self.works(&candidate);
                }
                self.run(candidate);
            }
            Report::OnProbation(candidate, time) => self.run_on_trial(candidate, time),
            Report::LastResort(candidate) => {
                let time = candidate.manifest.rollout.probation();
                self.run_on_trial(candidate, time.unwrap_or_default());
            }
            Report::Judged(candidate, verdict) => self.judged(&candidate, verdict),
            Report::Failed {
                candidate,
                error,
                retrying,
                is_own_fault,
            } => {
                if self.is_good(&candidate) {
                    self.rollout.steps_back = false;
                    if !retrying {
                        self.does_not_come_back(&candidate);
                    }
                }
                if is_own_fault && candidate.manifest.rollout.probation().is_some() {
                    self.condemn(&candidate, format!("it does not open: {error}"));
                }
                self.open_failed(OpenFailure {
                    candidate,
                    error,
                    retrying,
                });
            }
            Report::Opening => {
                self.serving = Serving::Opening;
                self.rollout.steps_back = false;
            }
            Report::Standby => {
                self.serving = Serving::Standby;
                self.rollout.trial = None;
                self.rollout.doubted = None;
            }
        }
    }

    /// Whether a sink runs only because this node has no predecessor of it: it has
    /// failed, or is on probation elsewhere.
    fn is_unproven(&self, candidate: &Arc<Candidate>) -> bool {
        let has_failed = self.failed().is_some() && Arc::ptr_eq(candidate, &self.wanted);
        !self.is_good(candidate) && (has_failed || self.rollout.is_unproven(candidate))
    }

    fn run_on_trial(&mut self, candidate: Arc<Candidate>, time: Duration) {
        self.open_failures
            .retain(|failure| !Arc::ptr_eq(&failure.candidate, &candidate));
        self.rollout.trial = Some((Arc::clone(&candidate), time));
        self.run(candidate);
    }

    fn run(&mut self, candidate: Arc<Candidate>) {
        self.rollout.steps_back = false;
        self.rollout.launched(&candidate);
        self.serving = Serving::Running(candidate);
    }

    /// Whether it is known to work.
    pub(super) fn is_good(&self, candidate: &Arc<Candidate>) -> bool {
        let good = self.good.as_ref();
        good.is_some_and(|good| Arc::ptr_eq(good, candidate))
    }

    fn open_failed(&mut self, failure: OpenFailure) {
        let is_it = |c: &Arc<Candidate>| Arc::ptr_eq(c, &failure.candidate);
        self.open_failures.retain(|known| !is_it(&known.candidate));
        if is_it(&self.wanted) || self.is_good(&failure.candidate) {
            self.open_failures.push(failure);
        }
    }

    fn open_failure(&self, candidate: &Arc<Candidate>) -> Option<&OpenFailure> {
        self.open_failures
            .iter()
            .find(|failure| Arc::ptr_eq(&failure.candidate, candidate))
    }
}

fn wanted_plugin(manifest: &Manifest) -> WantedPlugin {
    WantedPlugin {
        source: Some(manifest.source.to_string()),
        sha256: manifest.sha256.clone(),
    }
}

fn active_plugin(candidate: &Candidate, state: PluginPhase, since: String) -> ActivePlugin {
    ActivePlugin {
        name: candidate.identity().clone(),
        state,
        since,
    }
}

#[cfg(test)]
mod tests;
