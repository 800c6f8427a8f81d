//! What the status and the keys in Consul say about the state.

use std::sync::Arc;

use super::{OpenFailure, PluginState, Serving, active_plugin};
use crate::plugin::asked::Origin;
use crate::plugin::candidate::Candidate;
use crate::plugin::report::Choice;
use crate::plugin::rollout::prepared_manifest;
use sluice_types::documents::{
    ActiveDocument, FailedManifest, NodeDocument, NodeSink, ProbationDocument,
};
use sluice_types::plugin::{PluginPhase, PluginStatus};

impl PluginState {
    /// Whether no sink could be opened.
    fn has_failed(&self) -> bool {
        let Choice {
            wanted,
            good,
            last_resort,
            ..
        } = self.choice();
        let mut tried = [Some(wanted), good, last_resort].into_iter().flatten();
        tried.all(|candidate| self.open_failure(&candidate).is_some())
    }

    /// What is wrong with the desired sink.
    fn error(&self) -> Option<String> {
        if self.preparing {
            return None;
        }
        if let Some(problem) = &self.problem {
            return Some(format!("failed to {problem}"));
        }
        let errors: Vec<_> = [self.open_error(), self.taken_back_error()]
            .into_iter()
            .flatten()
            .collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    /// Why the sink that is to run did not open.
    fn open_error(&self) -> Option<String> {
        let target = self.target();
        let OpenFailure { error, .. } = self.open_failure(target)?;
        let source = &target.identity().source;
        Some(format!("failed to open {source}: {error}"))
    }

    /// Why the sink that is asked for is not the one that is to run.
    fn taken_back_error(&self) -> Option<String> {
        let (key, source) = (&self.key, &self.wanted.identity().source);
        if let Some(FailedManifest { reason, .. }) = self.keeps_back() {
            let not_again = format!("it is not tried again until {key} changes");
            return Some(format!("{source} has failed: {reason}; {not_again}"));
        }
        let reason = self.doubt()?;
        let meanwhile = "the sink before it shows whether that is its own fault";
        Some(format!("{source} is in doubt: {reason}; {meanwhile}"))
    }

    /// Updates what the status shows. `now` gives the time in RFC 3339, and is
    /// called if the sink or its phase has changed.
    pub(in crate::plugin) fn status(&mut self, now: impl Fn() -> String) -> PluginStatus {
        if let Some(failed) = &mut self.rollout.failed
            && failed.at.is_empty()
        {
            failed.at = now();
        }
        let (candidate, phase) = match &self.serving {
            Serving::Running(running) => (running, PluginPhase::Running),
            _ if self.has_failed() => (self.target(), PluginPhase::Failed),
            Serving::Opening => (self.target(), PluginPhase::Opening),
            Serving::Standby => (self.not_taken_back(), PluginPhase::Prepared),
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
            waits_for: self.leader_waits_for().unwrap_or_default(),
        }
    }

    /// The document of `<c>/nodes/<name>`, as far as it is about the sink.
    pub(in crate::plugin) fn node_document(
        &self,
        node: &str,
        status: &PluginStatus,
    ) -> NodeDocument {
        let state = if self.preparing {
            PluginPhase::Preparing
        } else {
            status.active.state
        };
        let failure = self.open_failure(self.target());
        let is_ready = !self.preparing && status.active.state != PluginPhase::Failed;
        let has_predecessor = self.is_taken_back() && self.good.is_some();
        NodeDocument {
            eligible: is_ready && (status.error.is_none() || has_predecessor),
            error: status.error.clone(),
            sink: Some(NodeSink {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                plugin: status.active.name.clone(),
                state,
                since: status.active.since.clone(),
                desired: status.desired.clone(),
                index: self.origin.index(),
                plugin_index: self.asked_indexes.of(&self.shown.0),
                retrying: match self.problem {
                    None if self.doubt().is_some() => true,
                    None => self.failed().is_none() && failure.is_some_and(|f| f.retrying),
                    Some(_) => false,
                },
            }),
            ..NodeDocument::new(node)
        }
    }

    /// The document of `<c>/active`; `None` while no sink runs and none has
    /// failed.
    pub(in crate::plugin) fn active_document(
        &self,
        node: &str,
        status: &PluginStatus,
    ) -> Option<ActiveDocument> {
        let (candidate, state) = match &self.serving {
            Serving::Running(running) => (running, PluginPhase::Running),
            Serving::Opening if self.has_failed() => (self.target(), PluginPhase::Failed),
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
            probation: self.probation(candidate),
            failed: self.failed().cloned(),
            unproven: self
                .rollout
                .unproven
                .as_ref()
                .is_some_and(|u| Arc::ptr_eq(u, candidate)),
            waits_for: status.waits_for.clone(),
        })
    }

    fn probation(&self, candidate: &Arc<Candidate>) -> Option<ProbationDocument> {
        let time = self.rollout.probation_of(candidate)?;
        let good = self.good.as_ref()?;
        Some(ProbationDocument {
            seconds: time.as_secs(),
            predecessor: prepared_manifest(good),
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
            (None, _) => match self.waits_for() {
                Some(nodes) if nodes.is_empty() => {
                    format!("{key} asks for another sink, and the nodes are not known yet")
                }
                Some(_) => {
                    format!("{key} asks for another sink, which is not prepared on all nodes yet")
                }
                None => format!("{key} asks for another sink, which is being prepared"),
            },
        }
    }
}
