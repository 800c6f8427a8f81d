//! What is known of a stream's journal.

use super::handle::Stream;
use super::route::Route;
use sluice_delivery::{JournalStatus, Replicated};

impl Stream {
    /// What the journal holds, if there is one. Of a replicated one, only the leader
    /// knows that.
    pub(crate) fn journal_status(&self) -> Option<JournalStatus> {
        let Some(replicated) = &self.replicated else {
            return self.journal.as_ref().map(|journal| journal.status());
        };
        let current = replicated.borrow().as_ref().map(Replicated::status);
        let is_leading = matches!(*self.route.borrow(), Route::Local(_));
        let mut status = current.filter(|_| is_leading).unwrap_or_default();
        // An earlier setting may have left records on this node's disk.
        let local = self.journal.as_ref().map(|journal| journal.status());
        status.backlog += local.map_or(0, |local| local.backlog);
        Some(status)
    }

    /// Whether the journal is replicated.
    pub(crate) const fn is_replicated(&self) -> bool {
        self.replicated.is_some()
    }
}
