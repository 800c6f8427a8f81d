//! What producers are told whose records have no outcome when the tenure ends.

use super::{Dispatcher, Ended};
use crate::batch::Batch;
use crate::tail::Fate;

impl Dispatcher {
    /// The node stepped down before it could write this batch again.
    pub(super) fn not_confirmed(&self, batch: Batch) {
        match batch.offers {
            0 => batch.not_delivered("the node is no longer the leader"),
            _ => self.unknown(batch, "the node stepped down before the sink confirmed it"),
        }
    }

    pub(super) fn not_acknowledged(&self, batch: Batch) {
        self.unknown(batch, "the node stepped down before it could acknowledge");
    }

    pub(super) fn interrupted(&self, batch: Batch) {
        self.unknown(batch, "the node stepped down while the sink was writing it");
    }

    pub(super) fn fenced(&self, batch: Batch, reason: String) -> Ended {
        self.unknown(batch, "the destination knows a later leader");
        Ended::Fenced(reason)
    }

    /// The records were offered, and this node does not offer them again.
    pub(super) fn unknown(&self, batch: Batch, reason: &str) {
        self.tail.passed(&batch, || Fate::Unknown(reason.into()));
        batch.unknown(reason);
    }
}
