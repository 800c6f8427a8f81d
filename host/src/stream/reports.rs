//! Tells the plugin controller what happened to the sinks.

use tokio::sync::mpsc;

use crate::plugin::Report;

/// Sends reports to the stream's plugin controller.
#[derive(Clone, Debug)]
pub(super) struct Reports(mpsc::UnboundedSender<Report>);

impl Reports {
    pub(super) const fn new(reports: mpsc::UnboundedSender<Report>) -> Self {
        Self(reports)
    }

    pub(super) fn send(&self, report: Report) {
        if self.0.send(report).is_err() {
            tracing::error!("the plugin controller has ended");
        }
    }
}
