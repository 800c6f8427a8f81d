//! Frames that share one write and one sync.

use super::acknowledger::PendingAcknowledgement;
use super::frame;
use super::shared::State;
use crate::counting::to_u64;

/// What is written together.
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    /// How many of these count in the stream's share until they are written.
    pub(super) held: usize,
    pub(super) acknowledgements: Vec<PendingAcknowledgement>,
    /// The number of the entry after the last one in it.
    pub(super) next_entry: u64,
}

impl Group {
    /// Takes everything that waits, and the progress if it changed.
    pub(super) fn take(state: &mut State) -> Self {
        let held = state.pending.len();
        if std::mem::take(&mut state.is_progress_new) {
            let (entry, progress) = (state.next_entry, state.progress());
            frame::progressed(entry, &progress, &mut state.pending);
        }
        // Counted from here on, so that no more is accepted than fits.
        state.used += to_u64(state.pending.len());
        Self {
            bytes: std::mem::take(&mut state.pending),
            held,
            acknowledgements: std::mem::take(&mut state.acknowledgements),
            next_entry: state.next_entry,
        }
    }

    /// Whether it must be synced: progress alone need not be.
    pub(super) const fn has_records(&self) -> bool {
        !self.acknowledgements.is_empty()
    }
}
