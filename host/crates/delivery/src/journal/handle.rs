//! A journal that is open.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::acknowledger::PendingAcknowledgement;
use super::frame::{self, JournalId};
use super::limits::JournalLimits;
use super::shared::{Shared, State};
use crate::completion::Completion;
use crate::counting::to_u64;
use crate::held::Held;
use crate::outcome::Refused;
use crate::producer::Producer;
use crate::queue_budget::{NoRoom, QueueShare};
use crate::receipt::Receipt;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, RecordId};

/// What a journal holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Records that are still to be delivered.
    pub backlog: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The size at which nothing more is taken in.
    pub limit: u64,
    /// The reason why the journal cannot be written, if so.
    pub failure: Option<String>,
    /// The reason why the ids of requests cannot be kept for other leaders, if so.
    pub ids_failure: Option<String>,
}

/// An open journal. It is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    thread: Arc<WriterThread>,
}

/// The thread that writes. Dropping this waits for its end.
#[derive(Debug)]
pub(super) struct WriterThread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl WriterThread {
    pub(super) fn new(shared: Arc<Shared>, handle: JoinHandle<()>) -> Self {
        Self {
            shared,
            handle: Mutex::new(Some(handle)),
        }
    }

    fn end(&self) {
        self.shared.lock().is_closing = true;
        self.shared.work.notify_one();
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(_)) = handle.take().map(JoinHandle::join) {
            tracing::error!("the thread that writes the journal has panicked");
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.end();
    }
}

impl Journal {
    pub(super) fn new(shared: Arc<Shared>, thread: WriterThread) -> Self {
        Self {
            shared,
            thread: Arc::new(thread),
        }
    }

    /// Writes what was taken in and the progress, and takes in nothing more.
    /// Blocks until that is on disk.
    pub fn close(&self) {
        self.thread.end();
    }

    /// Identifies this journal across restarts.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.shared.id
    }

    /// Counts what waits here to be written in a stream's share. To be called before
    /// anything is taken in.
    pub fn count_in(&self, share: &Arc<QueueShare>) {
        self.shared.lock().held = Held::in_share(Arc::clone(share));
    }

    /// What the journal holds now.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let synced = *self.shared.synced.borrow();
        let state = self.shared.lock();
        JournalStatus {
            backlog: synced.saturating_sub(state.settled),
            bytes: state.used,
            limit: self.shared.limits.bytes,
            failure: state.failure.clone(),
            ids_failure: None,
        }
    }

    /// Waits until the journal cannot be written.
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

    /// The entry of another journal below which every entry was taken over
    /// into this one.
    #[must_use]
    pub fn taken_from(&self, journal: JournalId) -> u64 {
        self.shared.lock().taken.get(&journal).copied().unwrap_or(1)
    }

    /// Every entry of another journal below this one was taken over.
    pub fn took(&self, journal: JournalId, entry: u64) {
        let mut state = self.shared.lock();
        let known = state.taken.entry(journal).or_default();
        if entry > *known {
            *known = entry;
            self.shared.progressed(state);
        }
    }

    /// Whether so many more bytes would not be refused as too much now. What is
    /// written takes about as much as it counts.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let limits = self.shared.limits;
        let state = self.shared.lock();
        let waits = state.pending.len().saturating_add(bytes);
        let on_disk = to_u64(waits).saturating_add(state.used);
        waits <= limits.pending.max(bytes) && on_disk <= limits.bytes && state.held.has_room(bytes)
    }

    /// Takes records in, to be acknowledged under this lease once they are on
    /// disk. `last_sequence` is the tenure's. Records that are transferred from
    /// another node's journal are taken if there is any space.
    pub(crate) fn append(
        &self,
        lease: &Arc<Lease>,
        last_sequence: &mut u64,
        mut records: Vec<LogRecord>,
        is_transferred: bool,
    ) -> Result<Receipt, Refused> {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.has_space(shared.limits)?;
        let before = state.pending.len();
        let mut next_entry = state.next_entry;
        for record in &mut records {
            let id = RecordId {
                epoch: lease.epoch(),
                sequence: *last_sequence + 1,
            };
            if record.assign_id(id) {
                *last_sequence = id.sequence;
            }
            frame::record(next_entry, record, &mut state.pending);
            next_entry += 1;
        }
        let added = state.pending.len() - before;
        if is_transferred {
            state.held.add(added);
        } else if let Err(refused) = state.hold(added, shared.limits) {
            state.pending.truncate(before);
            return Err(refused);
        }
        state.next_entry = next_entry;
        let (completion, waiter) =
            Completion::of_request(records.len(), lease.epoch(), Producer::IsTold);
        let ids = match &shared.trace {
            Some(_) => records.iter().map(|record| record.id).collect(),
            None => Vec::new(),
        };
        state.acknowledgements.push(PendingAcknowledgement {
            completion,
            lease: Arc::clone(lease),
            ids,
        });
        shared.wake(state);
        Ok(Receipt::not_withdrawable(waiter))
    }
}

impl State {
    /// Whether anything can be taken in now.
    fn has_space(&self, limits: JournalLimits) -> Result<(), Refused> {
        let waits = self.pending.len();
        if self.failure.is_some() || self.is_closing {
            Err(Refused::Failing)
        } else if waits >= limits.pending || to_u64(waits) + self.used >= limits.bytes {
            Err(Refused::Full)
        } else {
            Ok(())
        }
    }

    /// Counts the last so many bytes if they fit.
    fn hold(&mut self, added: usize, limits: JournalLimits) -> Result<(), Refused> {
        let on_disk = to_u64(self.pending.len()) + self.used;
        if added > limits.pending || to_u64(added) > limits.bytes / 2 {
            Err(Refused::TooLarge)
        } else if self.pending.len() > limits.pending || on_disk > limits.bytes {
            Err(Refused::Full)
        } else {
            // Other streams may have taken the room.
            let held = self.held.try_add(added);
            held.map_err(|NoRoom| Refused::Full)
        }
    }
}
