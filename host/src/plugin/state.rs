//! What is known of the sinks: which one is asked for, which could run, which
//! one does, and what is wrong. No I/O.

use std::sync::Arc;

use super::manifest::Manifest;
use super::prepare::Candidate;
use sluice_types::documents::{ActiveDocument, NodeDocument, NodeSink};
use sluice_types::plugin::{ActivePlugin, PluginPhase, PluginStatus, WantedPlugin};

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
        /// Whether it is tried again.
        retrying: bool,
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

impl Origin {
    /// The key's index; 0 where it is not the key that asks.
    pub(super) const fn index(self) -> u64 {
        match self {
            Self::Key(index) => index,
            Self::Flag | Self::Disk => 0,
        }
    }
}

#[derive(Debug)]
enum Phase {
    Standby,
    Opening,
    Running(Arc<Candidate>),
}

/// A sink that did not open when it was tried last.
#[derive(Debug)]
struct Refused {
    candidate: Arc<Candidate>,
    error: String,
    retrying: bool,
}

#[derive(Debug)]
pub(super) struct PluginState {
    /// The name of the plugin's key.
    key: String,
    desired: WantedPlugin,
    origin: Origin,
    /// Why the desired one could not be prepared.
    problem: Option<String>,
    wanted: Arc<Candidate>,
    good: Option<Arc<Candidate>>,
    refused: Vec<Refused>,
    phase: Phase,
    /// Whether the desired one is still being prepared.
    preparing: bool,
    /// What is shown, and of which sink.
    shown: (Arc<Candidate>, ActivePlugin),
}

impl PluginState {
    pub(super) fn new(
        key: String,
        manifest: &Manifest,
        origin: Origin,
        wanted: Arc<Candidate>,
        good: Option<Arc<Candidate>>,
        now: String,
    ) -> Self {
        let active = shown(&wanted, PluginPhase::Prepared, now);
        Self {
            key,
            desired: desired(manifest),
            origin,
            problem: None,
            shown: (Arc::clone(&wanted), active),
            wanted,
            good,
            refused: Vec::new(),
            phase: Phase::Standby,
            preparing: false,
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

    /// Whether this is what was the matter before.
    pub(super) fn has_problem_like(&self, problem: &str) -> bool {
        self.problem.as_deref() == Some(problem)
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            wanted: Arc::clone(&self.wanted),
            good: self.good.clone(),
        }
    }

    /// Another manifest is asked for, or the same again.
    pub(super) fn ask(&mut self, manifest: &Manifest, origin: Origin) {
        self.desired = desired(manifest);
        self.origin = origin;
        self.problem = None;
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
        let running = match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        };
        let known = [running, Some(&self.wanted), self.good.as_ref()];
        // One that did not open is tried anew when it is asked for again.
        let same = known
            .into_iter()
            .flatten()
            .find(|known| known.is_same_as(&candidate) && self.refusal_of(known).is_none());
        self.wanted = match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(candidate),
        };
        self.found();
        let keep = |c: &Arc<Candidate>| self.good.as_ref().is_some_and(|g| Arc::ptr_eq(g, c));
        self.refused.retain(|refused| keep(&refused.candidate));
    }

    /// What is wanted is what is asked for.
    pub(super) fn found(&mut self) {
        self.desired.sha256 = Some(self.wanted.identity().sha256.clone());
        self.wanted.asked_at(self.origin.index());
    }

    /// This candidate works, here or on the leader.
    pub(super) fn is_good(&mut self, candidate: &Arc<Candidate>) {
        self.good = Some(Arc::clone(candidate));
        self.refused
            .retain(|refused| !Arc::ptr_eq(&refused.candidate, candidate));
        // Whatever else this node has is no better.
        if self.problem.is_some() && !self.is_running() {
            self.wanted = Arc::clone(candidate);
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Running(candidate) => {
                self.is_good(&candidate);
                self.phase = Phase::Running(candidate);
            }
            Report::Failed {
                candidate,
                error,
                retrying,
            } => {
                let is_it = |c: &Arc<Candidate>| Arc::ptr_eq(c, &candidate);
                self.refused.retain(|refused| !is_it(&refused.candidate));
                if is_it(&self.wanted) || self.good.as_ref().is_some_and(is_it) {
                    self.refused.push(Refused {
                        candidate,
                        error,
                        retrying,
                    });
                }
            }
            Report::Opening => self.phase = Phase::Opening,
            Report::Standby => self.phase = Phase::Standby,
        }
    }

    fn refusal_of(&self, candidate: &Arc<Candidate>) -> Option<&Refused> {
        let refused = &self.refused;
        refused
            .iter()
            .find(|r| Arc::ptr_eq(&r.candidate, candidate))
    }

    /// Whether nothing could be opened.
    fn has_failed(&self) -> bool {
        let has_failed = |candidate| self.refusal_of(candidate).is_some();
        has_failed(&self.wanted) && self.good.as_ref().is_none_or(has_failed)
    }

    /// Of what is asked for; of nothing that was asked for before.
    fn error(&self) -> Option<String> {
        if self.preparing {
            return None;
        }
        if let Some(problem) = &self.problem {
            return Some(format!("failed to {problem}"));
        }
        let Refused { error, .. } = self.refusal_of(&self.wanted)?;
        let source = &self.wanted.identity().source;
        Some(format!("failed to open {source}: {error}"))
    }

    /// Brings what is shown up to date; `now` is used if it has changed.
    pub(super) fn status(&mut self, now: impl FnOnce() -> String) -> PluginStatus {
        let (candidate, state) = match &self.phase {
            Phase::Running(running) => (running, PluginPhase::Running),
            _ if self.has_failed() => (&self.wanted, PluginPhase::Failed),
            Phase::Opening => (&self.wanted, PluginPhase::Opening),
            Phase::Standby => (&self.wanted, PluginPhase::Prepared),
        };
        let (of, active) = &self.shown;
        if !Arc::ptr_eq(of, candidate) || active.state != state {
            self.shown = (Arc::clone(candidate), shown(candidate, state, now()));
        }
        PluginStatus {
            desired: self.desired.clone(),
            active: self.shown.1.clone(),
            error: self.error(),
        }
    }

    /// What this node's own key in Consul says of it.
    pub(super) fn node_state(&self, node: &str, status: &PluginStatus) -> NodeDocument {
        let state = if self.preparing {
            PluginPhase::Preparing
        } else {
            status.active.state
        };
        let refusal = self.refusal_of(&self.wanted);
        let is_ready = !self.preparing && status.active.state != PluginPhase::Failed;
        NodeDocument {
            node: node.to_owned(),
            address: String::new(),
            epoch: 0,
            eligible: is_ready && status.error.is_none(),
            error: status.error.clone(),
            sink: Some(NodeSink {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                plugin: status.active.name.clone(),
                state,
                desired: status.desired.clone(),
                index: self.origin.index(),
                plugin_index: self.shown.0.asked(),
                retrying: self.problem.is_none() && refusal.is_some_and(|r| r.retrying),
            }),
        }
    }

    /// What the leader says of the sink that really runs; `None` while none
    /// does and none has failed.
    pub(super) fn active(&self, node: &str, status: &PluginStatus) -> Option<ActiveDocument> {
        let (candidate, state) = match &self.phase {
            Phase::Running(running) => (running, PluginPhase::Running),
            Phase::Opening if self.has_failed() => (&self.wanted, PluginPhase::Failed),
            _ => return None,
        };
        let key = &self.key;
        let is_what_is_asked = candidate.asked() == self.origin.index();
        let why = match (&status.error, self.origin) {
            (Some(error), Origin::Key(_)) => format!("{key} asks for another sink, but: {error}"),
            (Some(error), _) => error.clone(),
            (None, Origin::Key(_)) if is_what_is_asked => format!("{key} asks for it"),
            (None, Origin::Flag) if is_what_is_asked => {
                format!("{key} is empty, and --plugin asks for it")
            }
            (None, Origin::Disk) => "it ran last, and Consul has not answered yet".to_owned(),
            (None, _) => format!("{key} asks for another sink, which is being prepared"),
        };
        Some(ActiveDocument {
            plugin: candidate.identity().clone(),
            state,
            since: status.active.since.clone(),
            why,
            node: node.to_owned(),
            index: candidate.asked(),
            manifest: candidate.manifest.to_string(),
            epoch: 0,
        })
    }
}

fn desired(manifest: &Manifest) -> WantedPlugin {
    WantedPlugin {
        source: Some(manifest.source.to_string()),
        sha256: manifest.sha256.clone(),
    }
}

fn shown(candidate: &Candidate, state: PluginPhase, since: String) -> ActivePlugin {
    ActivePlugin {
        name: candidate.identity().clone(),
        state,
        since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    use crate::plugin::source::sha256;
    use sluice_sandbox::{Engine, NodeStdout, Prepared, Setup};
    use sluice_types::plugin::Identity;

    /// Makes candidates of the default sink.
    struct Candidates(Engine, NodeStdout);

    impl Candidates {
        fn new() -> Self {
            let null = std::fs::File::options().write(true).open("/dev/null");
            let stdout = NodeStdout::new(null.unwrap().into()).unwrap();
            Self(Engine::new(None).unwrap(), stdout)
        }

        fn of(&self, config: &str) -> Candidate {
            let manifest = Manifest {
                config: config.to_owned(),
                ..Manifest::of("builtin:stdout".parse().unwrap())
            };
            let bytes = manifest.source.read(&[]).unwrap();
            let identity = Identity {
                source: manifest.source.to_string(),
                sha256: sha256(&bytes),
            };
            let stdout = self.1.clone();
            let prepared =
                Prepared::compile(&self.0, &bytes, identity, Setup::default(), stdout).unwrap();
            Candidate::new(manifest, Arc::new(prepared))
        }
    }

    fn board(wanted: &Arc<Candidate>) -> PluginState {
        PluginState::new(
            "c/plugin".to_owned(),
            &wanted.manifest,
            Origin::Flag,
            Arc::clone(wanted),
            None,
            "then".to_owned(),
        )
    }

    fn status(board: &mut PluginState) -> (PluginStatus, Value, Option<Value>) {
        let status = board.status(|| "now".to_owned());
        let node = serde_json::to_value(board.node_state("a", &status)).unwrap();
        let active = board.active("a", &status);
        let active = active.map(|active| serde_json::to_value(active).unwrap());
        (status, node, active)
    }

    fn failed(candidate: &Arc<Candidate>) -> Report {
        Report::Failed {
            candidate: Arc::clone(candidate),
            error: "no".to_owned(),
            retrying: false,
        }
    }

    #[test]
    fn what_runs_is_not_what_is_asked_for_before_it_took_over() {
        let candidates = Candidates::new();
        let first = Arc::new(candidates.of("1"));
        let mut board = board(&first);
        board.report(Report::Running(Arc::clone(&first)));
        let second = candidates.of("2");
        board.ask(&second.manifest, Origin::Key(7));
        let (_, node, active) = status(&mut board);
        assert_eq!(
            (&node["state"], &node["index"], &node["able"]),
            (&"preparing".into(), &7.into(), &false.into())
        );
        assert_eq!(active.unwrap()["index"], 0);
        board.prepared(second);
        let (_, node, active) = status(&mut board);
        assert_eq!(
            (&node["index"], &node["plugin_index"], &node["able"]),
            (&7.into(), &0.into(), &true.into())
        );
        assert_eq!(active.unwrap()["index"], 0, "the first still runs");
        let second = Arc::clone(board.wanted());
        board.report(Report::Running(second));
        let (_, node, active) = status(&mut board);
        assert_eq!(node["plugin_index"], 7);
        assert_eq!(active.unwrap()["index"], 7);
        // The same again swaps nothing, and is done at once.
        board.ask(&candidates.of("2").manifest, Origin::Key(9));
        board.prepared(candidates.of("2"));
        let (status, _, active) = status(&mut board);
        assert_eq!(active.unwrap()["index"], 9);
        assert_eq!(status.active.since, "now");
    }

    #[test]
    fn a_fallback_gives_way_to_what_works_elsewhere() {
        let candidates = Candidates::new();
        let flag = Arc::new(candidates.of("flag"));
        let mut board = board(&flag);
        board.ask_in_vain(Origin::Key(3), "read the manifest".to_owned());
        assert!(Arc::ptr_eq(board.wanted(), &flag));
        let leaders = Arc::new(candidates.of("leader's"));
        board.is_good(&leaders);
        assert!(Arc::ptr_eq(board.wanted(), &leaders));
        // Also if one that worked before stood in for what is asked for.
        let next = Arc::new(candidates.of("next"));
        board.is_good(&next);
        assert!(Arc::ptr_eq(board.wanted(), &next));
    }

    #[test]
    fn what_can_not_be_prepared_leaves_what_runs() {
        let candidates = Candidates::new();
        let first = Arc::new(candidates.of("1"));
        let mut board = board(&first);
        board.report(Report::Running(Arc::clone(&first)));
        let second = candidates.of("2");
        board.ask(&second.manifest, Origin::Key(2));
        board.prepared(second);
        let second = Arc::clone(board.wanted());
        board.report(failed(&second));
        let (shown, node, active) = status(&mut board);
        assert_eq!(node["able"], false);
        assert!(
            shown
                .error
                .unwrap()
                .contains("failed to open builtin:stdout: no")
        );
        assert_eq!(shown.active.state, PluginPhase::Running);
        assert!(
            active.unwrap()["why"]
                .as_str()
                .unwrap()
                .contains("but: failed to open")
        );
        board.ask_in_vain(Origin::Key(3), "read the manifest".to_owned());
        assert!(Arc::ptr_eq(board.wanted(), &first));
        let (shown, ..) = status(&mut board);
        assert_eq!(shown.error.as_deref(), Some("failed to read the manifest"));
        // What is asked for next is not blamed for it.
        board.ask(&candidates.of("4").manifest, Origin::Key(4));
        let (shown, ..) = status(&mut board);
        assert_eq!(shown.error, None);
    }

    #[test]
    fn one_that_did_not_open_is_tried_anew_when_it_is_asked_for_again() {
        let candidates = Candidates::new();
        let first = Arc::new(candidates.of("1"));
        let mut board = board(&first);
        board.report(Report::Opening);
        board.report(failed(&first));
        let (shown, _, active) = status(&mut board);
        assert_eq!(shown.active.state, PluginPhase::Failed);
        assert_eq!(active.unwrap()["state"], "failed");
        board.ask(&first.manifest, Origin::Key(5));
        board.prepared(candidates.of("1"));
        assert!(!Arc::ptr_eq(board.wanted(), &first));
        let (shown, ..) = status(&mut board);
        assert_eq!(shown.active.state, PluginPhase::Opening);
    }
}
