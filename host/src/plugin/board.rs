//! What is known of the sinks: which one is asked for, which could run, which
//! one does, and what is wrong. No I/O.

use std::sync::Arc;

use serde_json::{Value, json};

use super::manifest::Manifest;
use super::prepare::Candidate;
use crate::observe::{ActivePlugin, PluginName, PluginState, PluginStatus, WantedPlugin};

/// The sinks that could run: the wanted one first, then the last one that is
/// known to work, if that is another.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What was asked for, as far as it could be prepared.
    pub wanted: Arc<Candidate>,
    /// What worked before.
    pub good: Option<Arc<Candidate>>,
}

/// What became of a sink on this node while it leads.
#[derive(Clone, Debug)]
pub enum Report {
    /// It takes records.
    Running(Arc<Candidate>),
    /// It did not open.
    Failed {
        /// Which one.
        candidate: Arc<Candidate>,
        /// Why.
        error: String,
    },
    /// This node has begun to lead, and no sink runs yet.
    Opening,
    /// This node does not lead any more.
    Standby,
}

/// Where the manifest came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The key, as it was written at this index.
    Key(u64),
    /// `--plugin`, because the key is absent or empty.
    Flag,
    /// The disk, because Consul has not answered yet.
    Disk,
}

#[derive(Debug)]
enum Phase {
    Standby,
    Opening,
    Running(Arc<Candidate>),
}

#[derive(Debug)]
pub(super) struct Board {
    /// The name of the plugin's key.
    key: String,
    desired: WantedPlugin,
    origin: Origin,
    /// Why the desired one could not be prepared.
    problem: Option<String>,
    wanted: Arc<Candidate>,
    good: Option<Arc<Candidate>>,
    /// What did not open when it was tried last.
    refused: Vec<(Arc<Candidate>, String)>,
    phase: Phase,
    /// Whether the desired one is still being prepared.
    preparing: bool,
    shown: ActivePlugin,
}

impl Board {
    pub(super) fn new(
        key: String,
        manifest: &Manifest,
        origin: Origin,
        wanted: Arc<Candidate>,
        good: Option<Arc<Candidate>>,
        now: String,
    ) -> Self {
        let shown = shown(&wanted, PluginState::Prepared, now);
        Self {
            key,
            desired: desired(manifest),
            origin,
            problem: None,
            wanted,
            good,
            refused: Vec::new(),
            phase: Phase::Standby,
            preparing: false,
            shown,
        }
    }

    pub(super) const fn wanted(&self) -> &Arc<Candidate> {
        &self.wanted
    }

    pub(super) const fn good(&self) -> Option<&Arc<Candidate>> {
        self.good.as_ref()
    }

    pub(super) const fn has_problem(&self) -> bool {
        self.problem.is_some()
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            wanted: Arc::clone(&self.wanted),
            good: self.good.clone(),
        }
    }

    /// What is asked for is this component.
    pub(super) fn found(&mut self, sha256: String) {
        self.desired.sha256 = Some(sha256);
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// Another manifest is asked for, or the same again.
    pub(super) fn ask(&mut self, manifest: &Manifest, origin: Origin) {
        self.desired = desired(manifest);
        self.origin = origin;
        self.preparing = true;
    }

    /// What is asked for can not even be read.
    pub(super) fn ask_in_vain(&mut self, origin: Origin, problem: String) {
        self.desired = WantedPlugin::default();
        self.origin = origin;
        self.fail(problem);
    }

    /// What is asked for could not be prepared: what works stays.
    pub(super) fn fail(&mut self, problem: String) {
        self.preparing = false;
        self.problem = Some(problem);
        if let Phase::Running(running) = &self.phase {
            self.wanted = Arc::clone(running);
        } else if let Some(good) = &self.good {
            self.wanted = Arc::clone(good);
        }
    }

    /// What is asked for could be prepared.
    pub(super) fn prepared(&mut self, candidate: Candidate) {
        self.preparing = false;
        self.problem = None;
        self.found(candidate.identity().sha256.clone());
        let running = match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        };
        let known = [running, Some(&self.wanted), self.good.as_ref()];
        // One that did not open is tried anew when it is asked for again.
        let same = known.into_iter().flatten().find(|known| {
            known.is_same_as(&candidate) && !self.refused.iter().any(|(c, _)| Arc::ptr_eq(c, known))
        });
        self.wanted = match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(candidate),
        };
        let keep = |c: &Arc<Candidate>| self.good.as_ref().is_some_and(|g| Arc::ptr_eq(g, c));
        self.refused.retain(|(candidate, _)| keep(candidate));
    }

    /// This candidate works, here or on the leader.
    pub(super) fn is_good(&mut self, candidate: &Arc<Candidate>) {
        self.good = Some(Arc::clone(candidate));
        self.refused.retain(|(c, _)| !Arc::ptr_eq(c, candidate));
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Running(candidate) => {
                self.is_good(&candidate);
                self.phase = Phase::Running(candidate);
            }
            Report::Failed { candidate, error } => {
                self.refused.retain(|(c, _)| !Arc::ptr_eq(c, &candidate));
                let known = Arc::ptr_eq(&candidate, &self.wanted)
                    || self
                        .good
                        .as_ref()
                        .is_some_and(|g| Arc::ptr_eq(g, &candidate));
                if known {
                    self.refused.push((candidate, error));
                }
            }
            Report::Opening => self.phase = Phase::Opening,
            Report::Standby => self.phase = Phase::Standby,
        }
    }

    fn refusal_of(&self, candidate: &Arc<Candidate>) -> Option<&str> {
        let refused = self.refused.iter().find(|(c, _)| Arc::ptr_eq(c, candidate));
        refused.map(|(_, error)| error.as_str())
    }

    /// Whether nothing could be opened.
    fn has_failed(&self) -> bool {
        self.refusal_of(&self.wanted).is_some()
            && self
                .good
                .as_ref()
                .is_none_or(|good| self.refusal_of(good).is_some())
    }

    fn error(&self) -> Option<String> {
        if let Some(problem) = &self.problem {
            return Some(format!("failed to {problem}"));
        }
        let opening = |error| {
            let source = &self.wanted.identity().source;
            format!("failed to open {source}: {error}")
        };
        self.refusal_of(&self.wanted).map(opening)
    }

    /// Brings what is shown up to date; `now` is used if it has changed.
    pub(super) fn status(&mut self, now: impl FnOnce() -> String) -> PluginStatus {
        let (candidate, state) = match &self.phase {
            Phase::Running(running) => (running, PluginState::Running),
            _ if self.has_failed() => (&self.wanted, PluginState::Failed),
            Phase::Opening => (&self.wanted, PluginState::Opening),
            Phase::Standby => (&self.wanted, PluginState::Prepared),
        };
        let name = PluginName::from(candidate.identity());
        if self.shown.name != name || self.shown.state != state {
            self.shown = shown(candidate, state, now());
        }
        PluginStatus {
            desired: self.desired.clone(),
            active: self.shown.clone(),
            error: self.error(),
        }
    }

    /// What this node's own key in Consul says of it.
    pub(super) fn node_state(&self, node: &str, status: &PluginStatus) -> Value {
        let index = match self.origin {
            Origin::Key(index) => index,
            Origin::Flag | Origin::Disk => 0,
        };
        let state = if self.preparing {
            PluginState::Preparing
        } else {
            status.active.state
        };
        json!({
            "node": node,
            "version": env!("CARGO_PKG_VERSION"),
            "plugin": status.active.name,
            "state": state,
            "desired": status.desired,
            "index": index,
            "error": status.error,
        })
    }

    /// What the leader says of the sink that really runs; `None` while none
    /// does and none has failed.
    pub(super) fn active(&self, node: &str, status: &PluginStatus) -> Option<Value> {
        let (candidate, state) = match &self.phase {
            Phase::Running(running) => (running, PluginState::Running),
            Phase::Opening if self.has_failed() => (&self.wanted, PluginState::Failed),
            _ => return None,
        };
        let index = match self.origin {
            Origin::Key(index) => index,
            Origin::Flag | Origin::Disk => 0,
        };
        let why = match (&status.error, self.origin) {
            (Some(error), Origin::Key(_)) => {
                format!("{} asks for another sink, but: {error}", self.key)
            }
            (Some(error), _) => error.clone(),
            (None, Origin::Key(_)) => format!("{} asks for it", self.key),
            (None, Origin::Flag) => format!("{} is empty, and --plugin asks for it", self.key),
            (None, Origin::Disk) => "it ran last, and Consul has not answered yet".to_owned(),
        };
        Some(json!({
            "source": candidate.identity().source,
            "sha256": candidate.identity().sha256,
            "state": state,
            "since": status.active.since,
            "why": why,
            "node": node,
            "index": index,
            "manifest": candidate.manifest.to_string(),
        }))
    }
}

fn desired(manifest: &Manifest) -> WantedPlugin {
    WantedPlugin {
        source: Some(manifest.source.to_string()),
        sha256: manifest.sha256.clone(),
    }
}

fn shown(candidate: &Candidate, state: PluginState, since: String) -> ActivePlugin {
    ActivePlugin {
        name: candidate.identity().into(),
        state,
        since,
    }
}
