//! The list of all streams, as the page shows it.

use serde::Serialize;

use super::left_out::LeftOut;
use crate::http::admin::{Status, StreamDocument};

/// All streams, and the nodes that did not answer.
#[derive(Debug, Serialize)]
pub(super) struct StreamRows {
    pub(super) streams: Vec<StreamRow>,
    pub(super) errors: Vec<LeftOut>,
}

/// A stream, with what nodes say of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StreamRow {
    /// As in the list that needs no token.
    #[serde(flatten)]
    pub(super) document: StreamDocument,
    /// Of the nodes that lead it, or where something waits or is wrong.
    pub(super) statuses: Vec<Status>,
}

impl StreamRow {
    /// A node that says that it leads knows that better than others do.
    pub(super) fn corrected(mut self) -> Self {
        let leads = |status: &&Status| status.leads_under().is_some();
        let leading = self.statuses.iter().filter(leads);
        if let Some(status) = leading.max_by_key(|status| status.leads_under()) {
            self.document.leader.clone_from(&status.leader);
            self.document.tenure = status.leads_under();
            self.document.sink = Some(status.plugin.active.name.clone());
        }
        self
    }
}
