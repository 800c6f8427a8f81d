//! What the requests, the delivery and the writing thread of a journal share.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::acknowledger::PendingAcknowledgement;
use super::frame::{JournalId, Progress};
use super::limits::JournalLimits;
use super::segment::Segment;
use crate::held::Held;
use crate::metrics::StreamMetrics;
use crate::trace::AckTrace;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) id: JournalId,
    pub(super) limits: JournalLimits,
    pub(super) state: Mutex<State>,
    /// Wakes the writing thread when there is something to write.
    pub(super) work: Condvar,
    /// Entries below this one are on disk.
    pub(super) synced: watch::Sender<u64>,
    /// Whether the journal cannot be written.
    pub(super) failing: watch::Sender<bool>,
    pub(super) metrics: Arc<StreamMetrics>,
    pub(super) trace: Option<Arc<AckTrace>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Frames to be written.
    pub(super) pending: Vec<u8>,
    /// What of that, and of what is being written, counts in the stream's share.
    pub(super) held: Held,
    /// The acknowledgements that are due once the frames are on disk.
    pub(super) acknowledgements: Vec<PendingAcknowledgement>,
    pub(super) next_entry: u64,
    pub(super) settled: u64,
    pub(super) taken: BTreeMap<JournalId, u64>,
    /// Whether `settled` or `taken` changed since they were last written.
    pub(super) is_progress_new: bool,
    /// Oldest first; the last one is being written.
    pub(super) segments: VecDeque<Segment>,
    /// The sum of the segments' bytes.
    pub(super) used: u64,
    /// The reason why nothing can be written.
    pub(super) failure: Option<String>,
    /// Whether the writing thread waits for work.
    pub(super) is_idle: bool,
    pub(super) is_closing: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writing thread if it waits.
    pub(super) fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.is_idle) {
            drop(state);
            self.work.notify_one();
        }
    }

    /// Says that `settled` or `taken` changed. The thread writes that lazily.
    pub(super) fn progressed(&self, mut state: MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.is_progress_new, true) {
            self.wake(state);
        }
    }

    /// Publishes whether the journal can be written, and why not.
    pub(super) fn set_failure(&self, failure: Option<String>) {
        let is_failing = failure.is_some();
        self.lock().failure = failure;
        self.failing.send_replace(is_failing);
    }
}

impl State {
    pub(super) fn progress(&self) -> Progress {
        Progress {
            settled: self.settled,
            taken: self.taken.clone(),
        }
    }
}
