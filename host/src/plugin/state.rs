//! What is known of the sinks: which one is asked for, which could run, which
//! one does, and what is wrong. Pure state: no I/O, no clock, no tasks.

use std::sync::Arc;

use super::asked::{Asked, Origin};
use super::asked_index::AskedIndexes;
use super::candidate::Candidate;
use super::manifest::Manifest;
use super::report::{Choice, Report};
use sluice_types::documents::{ActiveDocument, NodeDocument, NodeSink};
use sluice_types::plugin::{ActivePlugin, PluginPhase, PluginStatus, WantedPlugin};

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
    origin: Origin,
    /// Whether the desired sink is still being prepared.
    preparing: bool,
    /// Why the desired sink could not be prepared.
    problem: Option<String>,
    wanted: Arc<Candidate>,
    good: Option<Arc<Candidate>>,
    open_failures: Vec<OpenFailure>,
    serving: Serving,
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
            origin,
            preparing: false,
            problem: None,
            shown: (Arc::clone(&wanted), active),
            wanted,
            good,
            open_failures: Vec::new(),
            serving: Serving::Standby,
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

    pub(super) fn choice(&self) -> Choice {
        Choice {
            wanted: Arc::clone(&self.wanted),
            good: self.good.clone(),
        }
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
        self.origin = asked.origin;
        match &asked.manifest {
            Ok(manifest) => {
                self.desired = wanted_plugin(manifest);
                self.problem = None;
                self.preparing = true;
            }
            Err(problem) => {
                self.desired = WantedPlugin::default();
                self.preparation_failed(problem.clone());
            }
        }
    }

    /// The desired sink could not be prepared: the one that works stays.
    pub(super) fn preparation_failed(&mut self, problem: String) {
        self.preparing = false;
        self.problem = Some(problem);
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
                self.works(&candidate);
                self.serving = Serving::Running(candidate);
            }
            Report::Failed {
                candidate,
                error,
                retrying,
            } => self.open_failed(OpenFailure {
                candidate,
                error,
                retrying,
            }),
            Report::Opening => self.serving = Serving::Opening,
            Report::Standby => self.serving = Serving::Standby,
        }
    }

    fn open_failed(&mut self, failure: OpenFailure) {
        let is_it = |c: &Arc<Candidate>| Arc::ptr_eq(c, &failure.candidate);
        self.open_failures.retain(|known| !is_it(&known.candidate));
        if is_it(&self.wanted) || self.good.as_ref().is_some_and(is_it) {
            self.open_failures.push(failure);
        }
    }

    fn open_failure(&self, candidate: &Arc<Candidate>) -> Option<&OpenFailure> {
        self.open_failures
            .iter()
            .find(|failure| Arc::ptr_eq(&failure.candidate, candidate))
    }

    /// Whether no sink could be opened.
    fn has_failed(&self) -> bool {
        let has_failed = |candidate| self.open_failure(candidate).is_some();
        has_failed(&self.wanted) && self.good.as_ref().is_none_or(has_failed)
    }

    /// What is wrong with the desired sink.
    fn error(&self) -> Option<String> {
        if self.preparing {
            return None;
        }
        if let Some(problem) = &self.problem {
            return Some(format!("failed to {problem}"));
        }
        let OpenFailure { error, .. } = self.open_failure(&self.wanted)?;
        let source = &self.wanted.identity().source;
        Some(format!("failed to open {source}: {error}"))
    }

    /// Updates what the status shows. `now` gives the time in RFC 3339, and is
    /// called if the sink or its phase has changed.
    pub(super) fn status(&mut self, now: impl FnOnce() -> String) -> PluginStatus {
        let (candidate, phase) = match &self.serving {
            Serving::Running(running) => (running, PluginPhase::Running),
            _ if self.has_failed() => (&self.wanted, PluginPhase::Failed),
            Serving::Opening => (&self.wanted, PluginPhase::Opening),
            Serving::Standby => (&self.wanted, PluginPhase::Prepared),
        };
        let (of, active) = &self.shown;
        if !Arc::ptr_eq(of, candidate) || active.state != phase {
            let active = active_plugin(candidate, phase, now());
            self.shown = (Arc::clone(candidate), active);
        }
        PluginStatus {
            desired: self.desired.clone(),
            active: self.shown.1.clone(),
            error: self.error(),
        }
    }

    /// The document of `<c>/nodes/<name>`, as far as it is about the sink.
    pub(super) fn node_document(&self, node: &str, status: &PluginStatus) -> NodeDocument {
        let state = if self.preparing {
            PluginPhase::Preparing
        } else {
            status.active.state
        };
        let failure = self.open_failure(&self.wanted);
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
                plugin_index: self.asked_indexes.of(&self.shown.0),
                retrying: self.problem.is_none() && failure.is_some_and(|f| f.retrying),
            }),
        }
    }

    /// The document of `<c>/active`; `None` while no sink runs and none has
    /// failed.
    pub(super) fn active_document(
        &self,
        node: &str,
        status: &PluginStatus,
    ) -> Option<ActiveDocument> {
        let (candidate, state) = match &self.serving {
            Serving::Running(running) => (running, PluginPhase::Running),
            Serving::Opening if self.has_failed() => (&self.wanted, PluginPhase::Failed),
            _ => return None,
        };
        let index = self.asked_indexes.of(candidate);
        Some(ActiveDocument {
            plugin: candidate.identity().clone(),
            state,
            since: status.active.since.clone(),
            why: self.why(index, status.error.as_deref()),
            node: node.to_owned(),
            index,
            manifest: candidate.manifest.to_string(),
            epoch: 0,
        })
    }

    /// Why the sink that was asked for at this index is the active one.
    fn why(&self, index: u64, error: Option<&str>) -> String {
        let key = &self.key;
        let is_asked_for = index == self.origin.index();
        match (error, self.origin) {
            (Some(error), Origin::Key(_)) => format!("{key} asks for another sink, but: {error}"),
            (Some(error), _) => error.to_owned(),
            (None, Origin::Key(_)) if is_asked_for => format!("{key} asks for it"),
            (None, Origin::Flag) if is_asked_for => {
                format!("{key} is empty, and --plugin asks for it")
            }
            (None, Origin::Disk) => "it ran last, and Consul has not answered yet".to_owned(),
            (None, _) => format!("{key} asks for another sink, which is being prepared"),
        }
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
mod tests {
    use super::*;
    use serde_json::Value;

    use crate::plugin::testing::candidate;

    /// A candidate of the default sink with this configuration.
    fn of(config: &str) -> Candidate {
        candidate(&format!(
            r#"{{"source":"builtin:stdout","config":"{config}"}}"#
        ))
    }

    fn state_with(wanted: &Arc<Candidate>) -> PluginState {
        PluginState::new(
            "c/plugin".to_owned(),
            &wanted.manifest,
            Origin::Flag,
            Arc::clone(wanted),
            None,
            "then".to_owned(),
        )
    }

    fn status(state: &mut PluginState) -> (PluginStatus, Value, Option<Value>) {
        let status = state.status(|| "now".to_owned());
        let node = serde_json::to_value(state.node_document("a", &status)).unwrap();
        let active = state.active_document("a", &status);
        let active = active.map(|active| serde_json::to_value(active).unwrap());
        (status, node, active)
    }

    fn asked(manifest: &Manifest, index: u64) -> Asked {
        Asked {
            origin: Origin::Key(index),
            manifest: Ok(manifest.clone()),
        }
    }

    fn unreadable(index: u64) -> Asked {
        Asked {
            origin: Origin::Key(index),
            manifest: Err("read the manifest".to_owned()),
        }
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
        let first = Arc::new(of("1"));
        let mut state = state_with(&first);
        state.report(Report::Running(Arc::clone(&first)));
        let second = of("2");
        state.ask(&asked(&second.manifest, 7));
        let (_, node, active) = status(&mut state);
        assert_eq!(
            (&node["state"], &node["index"], &node["able"]),
            (&"preparing".into(), &7.into(), &false.into())
        );
        assert_eq!(active.unwrap()["index"], 0);
        state.prepared(second);
        let (_, node, active) = status(&mut state);
        assert_eq!(
            (&node["index"], &node["plugin_index"], &node["able"]),
            (&7.into(), &0.into(), &true.into())
        );
        assert_eq!(active.unwrap()["index"], 0, "the first still runs");
        let second = Arc::clone(&state.wanted);
        state.report(Report::Running(second));
        let (_, node, active) = status(&mut state);
        assert_eq!(node["plugin_index"], 7);
        assert_eq!(active.unwrap()["index"], 7);
        // The same again swaps nothing, and is done at once.
        state.ask(&asked(&of("2").manifest, 9));
        state.prepared(of("2"));
        let (status, _, active) = status(&mut state);
        assert_eq!(active.unwrap()["index"], 9);
        assert_eq!(status.active.since, "now");
    }

    #[test]
    fn a_fallback_gives_way_to_what_works_elsewhere() {
        let flag = Arc::new(of("flag"));
        let mut state = state_with(&flag);
        state.ask(&unreadable(3));
        assert!(Arc::ptr_eq(&state.wanted, &flag));
        let leaders = Arc::new(of("leaders"));
        state.works(&leaders);
        assert!(Arc::ptr_eq(&state.wanted, &leaders));
        // Also if one that worked before stood in for what is asked for.
        let next = Arc::new(of("next"));
        state.works(&next);
        assert!(Arc::ptr_eq(&state.wanted, &next));
    }

    #[test]
    fn what_cannot_be_prepared_leaves_what_runs() {
        let first = Arc::new(of("1"));
        let mut state = state_with(&first);
        state.report(Report::Running(Arc::clone(&first)));
        let second = of("2");
        state.ask(&asked(&second.manifest, 2));
        state.prepared(second);
        let second = Arc::clone(&state.wanted);
        state.report(failed(&second));
        let (shown, node, active) = status(&mut state);
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
        state.ask(&unreadable(3));
        assert!(Arc::ptr_eq(&state.wanted, &first));
        let (shown, ..) = status(&mut state);
        assert_eq!(shown.error.as_deref(), Some("failed to read the manifest"));
        // What is asked for next is not blamed for it.
        state.ask(&asked(&of("4").manifest, 4));
        let (shown, ..) = status(&mut state);
        assert_eq!(shown.error, None);
    }

    #[test]
    fn one_that_did_not_open_is_tried_again_when_it_is_asked_for_again() {
        let first = Arc::new(of("1"));
        let mut state = state_with(&first);
        state.report(Report::Opening);
        state.report(failed(&first));
        let (shown, _, active) = status(&mut state);
        assert_eq!(shown.active.state, PluginPhase::Failed);
        assert_eq!(active.unwrap()["state"], "failed");
        state.ask(&asked(&first.manifest, 5));
        state.prepared(of("1"));
        assert!(!Arc::ptr_eq(&state.wanted, &first));
        let (shown, ..) = status(&mut state);
        assert_eq!(shown.active.state, PluginPhase::Opening);
    }
}
