//! Tells the plugin controller what happened to the sinks.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::plugin::{Candidate, Report, WatchFor};

/// Sends reports to the stream's plugin controller.
#[derive(Clone, Debug)]
pub(super) struct Reports(mpsc::UnboundedSender<Report>);

impl Reports {
    pub(super) const fn new(reports: mpsc::UnboundedSender<Report>) -> Self {
        Self(reports)
    }

    /// A sink runs, and is watched for this.
    pub(super) fn running(&self, candidate: &Arc<Candidate>, watch: WatchFor) {
        let candidate = Arc::clone(candidate);
        self.send(match watch {
            WatchFor::Probation(terms) => Report::OnProbation(candidate, terms.time),
            WatchFor::LastResort => Report::LastResort(candidate),
            WatchFor::Nothing | WatchFor::SecondOpinion => Report::Running(candidate),
        });
    }

    pub(super) fn send(&self, report: Report) {
        if self.0.send(report).is_err() {
            tracing::error!("the plugin controller has ended");
        }
    }
}
