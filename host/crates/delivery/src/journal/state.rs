//! A journal that is open: what its thread, the requests and the delivery
//! share.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::watch;

use super::frame::{self, JournalId, Progress};
use super::recovery::{self, Inventory, Segment};
use super::scan::to_u64;
use super::writer::{Promise, Writer};
use crate::ack::{Receipt, slot};
use crate::metrics::Metrics;
use crate::queue::Refused;
use crate::trace::AckTrace;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, RecordId};

/// The largest segment, so that what was settled is soon removed.
const LARGEST_SEGMENT: u64 = 64 << 20;
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// A budget holds so many segments at least.
const SEGMENTS: u64 = 8;
/// And about so many at most.
const MOST_SEGMENTS: u64 = 256;

/// The bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalLimits {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that may wait to be written.
    pub pending: usize,
}

/// A journal can not be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The folder or a file in it.
    #[error("{act} the journal in {}", .folder.display())]
    Open {
        /// What was tried.
        act: &'static str,
        /// Where.
        folder: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// No thread.
    #[error("start the thread that writes the journal")]
    Thread(#[source] io::Error),
}

/// What a journal holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Records that are still to be delivered.
    pub backlog: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why it can not be written, if so.
    pub failure: Option<String>,
}

/// The journal of this node. It is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// The writer's thread.
#[derive(Debug)]
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Thread {
    fn end(&self) {
        self.shared.lock().is_closing = true;
        self.shared.work.notify_one();
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(_)) = handle.take().map(JoinHandle::join) {
            tracing::error!("the thread that writes the journal has panicked");
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) id: JournalId,
    pub(super) limits: JournalLimits,
    pub(super) state: Mutex<State>,
    /// There is something to write.
    pub(super) work: Condvar,
    /// Entries below this one are on disk.
    pub(super) synced: watch::Sender<u64>,
    /// Wakes whoever waits for a failure to begin or to end.
    pub(super) failing: watch::Sender<bool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) trace: Option<Arc<AckTrace>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Frames that are to be written.
    pub(super) pending: Vec<u8>,
    /// Who waits for them.
    pub(super) promises: Vec<Promise>,
    pub(super) next_entry: u64,
    pub(super) settled: u64,
    pub(super) taken: BTreeMap<JournalId, u64>,
    /// `settled` or `taken` changed since they were last written.
    pub(super) is_progress_new: bool,
    /// The oldest first; the last one is being written.
    pub(super) segments: VecDeque<Segment>,
    /// The sum of their bytes.
    pub(super) used: u64,
    /// Why nothing can be written.
    pub(super) failure: Option<String>,
    /// The thread waits for work.
    pub(super) is_idle: bool,
    pub(super) is_closing: bool,
}

impl Journal {
    /// Opens the journal in this folder, or makes one: reads what is there,
    /// cuts what was not written to its end, and says so.
    ///
    /// # Errors
    /// The folder can not be used.
    pub fn open(
        folder: PathBuf,
        limits: JournalLimits,
        metrics: Arc<Metrics>,
        trace: Option<Arc<AckTrace>>,
    ) -> Result<Self, JournalError> {
        let error = |act, cause| JournalError::Open {
            act,
            folder: folder.clone(),
            cause,
        };
        make(&folder).map_err(|cause| error("make", cause))?;
        let mut found = recovery::read(&folder).map_err(|cause| error("read", cause))?;
        mend(&mut found.segments).map_err(|cause| error("mend", cause))?;
        report(&found.inventory, &folder);
        metrics.journal_damaged_bytes.inc_by(
            found
                .inventory
                .damage
                .iter()
                .map(|damage| damage.bytes.end - damage.bytes.start)
                .sum(),
        );
        // Numbers of lost entries are given again: as those of another journal,
        // so that nobody takes them for what it had before.
        let id = found.id.filter(|_| found.inventory.damage.is_empty());
        let state = State {
            next_entry: found.next_entry,
            settled: found.progress.settled,
            taken: found.progress.taken,
            used: found.segments.iter().map(|segment| segment.bytes).sum(),
            segments: found.segments,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            id: id.unwrap_or_else(|| JournalId(rand::random())),
            limits,
            synced: watch::Sender::new(state.next_entry),
            failing: watch::Sender::new(false),
            state: Mutex::new(state),
            work: Condvar::new(),
            metrics,
            trace,
            folder: folder.clone(),
        });
        let writer = Writer::start(Arc::clone(&shared)).map_err(|cause| error("write", cause))?;
        let handle = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        let thread = Thread {
            shared: Arc::clone(&shared),
            handle: Mutex::new(Some(handle)),
        };
        Ok(Self {
            shared,
            thread: Arc::new(thread),
        })
    }

    /// Writes what was taken in and how far things are, and takes in nothing
    /// more. Waits for the disk.
    pub fn close(&self) {
        self.thread.end();
    }

    /// What lies in this folder, which nothing is changed in. While a node
    /// uses it, its last frames may seem cut.
    ///
    /// # Errors
    /// It can not be read.
    pub fn inspect(folder: &Path) -> Result<Inventory, JournalError> {
        let found = recovery::read(folder).map_err(|cause| JournalError::Open {
            act: "read",
            folder: folder.to_owned(),
            cause,
        })?;
        Ok(found.inventory)
    }

    /// Names this journal.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.shared.id
    }

    /// What it holds.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let synced = *self.shared.synced.borrow();
        let state = self.shared.lock();
        JournalStatus {
            backlog: synced.saturating_sub(state.settled),
            bytes: state.used,
            failure: state.failure.clone(),
        }
    }

    /// Waits until it can not be written, if it can now.
    pub async fn failed(&self) {
        let mut failing = self.shared.failing.subscribe();
        // The sender lives as long as this.
        drop(failing.wait_for(|failing| *failing).await);
    }

    /// Entries below this one need no delivery any more.
    pub fn settle(&self, entry: u64) {
        let mut state = self.shared.lock();
        if entry > state.settled {
            state.settled = entry;
            self.shared.progressed(state);
        }
    }

    /// Up to which entry everything was taken over from another journal.
    #[must_use]
    pub fn taken_from(&self, journal: JournalId) -> u64 {
        self.shared.lock().taken.get(&journal).copied().unwrap_or(1)
    }

    /// Everything below this entry of another journal was taken over.
    pub fn took(&self, journal: JournalId, entry: u64) {
        let mut state = self.shared.lock();
        let known = state.taken.entry(journal).or_default();
        if entry > *known {
            *known = entry;
            self.shared.progressed(state);
        }
    }

    /// Takes records in, to be acknowledged under this lease once they are on
    /// disk. `last_sequence` is the tenure's. What is taken over from another
    /// node may be more than a request.
    pub(super) fn append(
        &self,
        lease: &Arc<Lease>,
        last_sequence: &mut u64,
        mut records: Vec<LogRecord>,
        is_taken_over: bool,
    ) -> Result<Receipt, Refused> {
        let shared = &self.shared;
        let mut state = shared.lock();
        if state.failure.is_some() || state.is_closing {
            return Err(Refused::Failing);
        }
        let waits = state.pending.len();
        if waits >= shared.limits.pending || to_u64(waits) + state.used >= shared.limits.bytes {
            return Err(Refused::Full);
        }
        let before = state.pending.len();
        let first = state.next_entry;
        let mut entry = first;
        for record in &mut records {
            // What comes from another node or the dead letters keeps its id.
            if record.id == RecordId::default() {
                *last_sequence += 1;
                record.id = RecordId {
                    epoch: lease.epoch(),
                    sequence: *last_sequence,
                };
            }
            frame::record(entry, record, &mut state.pending);
            entry += 1;
        }
        let added = state.pending.len() - before;
        let on_disk = to_u64(state.pending.len()) + state.used;
        // What another node has acknowledged is taken if there is any room.
        let refused = if is_taken_over {
            None
        } else if added > shared.limits.pending || to_u64(added) > shared.limits.bytes / 2 {
            Some(Refused::TooLarge)
        } else if state.pending.len() > shared.limits.pending || on_disk > shared.limits.bytes {
            Some(Refused::Full)
        } else {
            None
        };
        if let Some(refused) = refused {
            state.pending.truncate(before);
            return Err(refused);
        }
        state.next_entry = entry;
        let (share, waiting) = slot(records.len(), lease.epoch(), false);
        let ids = shared
            .trace
            .as_ref()
            .map(|_| records.iter().map(|record| record.id).collect());
        state.promises.push(Promise {
            share,
            lease: Arc::clone(lease),
            ids: ids.unwrap_or_default(),
        });
        shared.wake(state);
        Ok(Receipt::without_return(waiting))
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.is_idle) {
            drop(state);
            self.work.notify_one();
        }
    }

    /// The thread writes that in its own time.
    fn progressed(&self, mut state: MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.is_progress_new, true) {
            self.wake(state);
        }
    }

    /// How large a segment may become.
    pub(super) fn segment_bytes(&self) -> u64 {
        // Each is an open file: not too many of them.
        let largest = LARGEST_SEGMENT.max(self.limits.bytes / MOST_SEGMENTS);
        (self.limits.bytes / SEGMENTS).clamp(SMALLEST_SEGMENT, largest)
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

/// Makes the folder, so that it is there after a power cut.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for above in folder.ancestors().skip(1).take(2) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Cuts the files where their frames end, and removes those without any.
fn mend(segments: &mut VecDeque<Segment>) -> io::Result<()> {
    for segment in segments.iter().filter(|segment| segment.bytes > 0) {
        // Also the room that was reserved and not needed.
        if segment.file.metadata()?.len() > segment.bytes {
            let file = fs::File::options().write(true).open(&segment.path)?;
            file.set_len(segment.bytes)?;
        }
    }
    for empty in segments.iter().filter(|segment| segment.bytes == 0) {
        fs::remove_file(&empty.path)?;
    }
    segments.retain(|segment| segment.bytes > 0);
    Ok(())
}

fn report(inventory: &Inventory, folder: &Path) {
    for damage in &inventory.damage {
        let bytes = damage.bytes.end - damage.bytes.start;
        let (file, at) = (damage.file.display(), damage.bytes.start);
        if damage.is_tail {
            tracing::warn!(%file, at, bytes, "cut a write off the journal that did not end; nothing of it was acknowledged, unless the disk lost what it had confirmed");
        } else {
            tracing::error!(%file, at, bytes, "a part of the journal can not be read");
        }
    }
    if inventory.missing > 0 {
        tracing::error!(
            folder = %folder.display(),
            records = inventory.missing,
            "records are missing from the journal; if they were in its last write, nobody was told \
                 that they are safe"
        );
    }
    if inventory.backlog > 0 {
        tracing::info!(
            records = inventory.backlog,
            bytes = inventory.bytes,
            "the journal holds records that are still to be delivered"
        );
    }
}
