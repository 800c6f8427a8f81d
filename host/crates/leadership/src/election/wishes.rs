//! What the election of a stream asks of what all streams of the node share.

use sluice_types::clock::BootTime;

/// What is to be done once an event is handled.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The session does not exist.
    pub(crate) session_is_gone: bool,
    /// Renew the session then, if not earlier.
    pub(crate) renew_at: Option<BootTime>,
    /// Read the locks by then, or earlier.
    pub(crate) prove_by: Option<BootTime>,
    /// The coordinator's epoch, and the higher one that is known.
    pub(crate) behind: Option<(u64, u64)>,
}

impl Wishes {
    pub(super) fn prove_by(&mut self, time: BootTime) {
        self.prove_by = Some(self.prove_by.map_or(time, |by| by.min(time)));
    }
}
