//! A replicated journal, as one tenure uses it.

use std::sync::Arc;

use rand::random;
use tokio::sync::watch;

use super::envelope::Term;
use super::id_log::RequestId;
use super::id_terms::IdTerms;
use super::kept::Kept;
use super::limits::ReplicatedLimits;
use super::log::Log;
use super::payload::ID_BYTES;
use super::reader::Reader;
use super::recalled::Recall;
use super::shared::{Ended, Shared, State};
use super::waiting::Waiting;
use super::writer::Writer;
use crate::completion::Completion;
use crate::counting::to_u64;
use crate::journal::{JournalStatus, PendingAcknowledgement, put_record};
use crate::metrics::StreamMetrics;
use crate::outcome::Refused;
use crate::producer::Producer;
use crate::queue_budget::{NoRoom, QueueShare};
use crate::receipt::{Receipt, Withdraw};
use crate::trace::AckTrace;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, RecordId};

/// The replicated journal of one tenure. Requests can be taken in from the
/// beginning; they wait until the log is open.
#[derive(Clone, Debug)]
pub struct Replicated {
    pub(super) shared: Arc<Shared>,
}

impl Replicated {
    /// The journal of the tenure with this epoch, and what writes it, which must
    /// run.
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        epoch: u64,
        limits: ReplicatedLimits,
        metrics: Arc<StreamMetrics>,
        trace: Option<Arc<AckTrace>>,
        ids: Option<IdTerms>,
    ) -> (Self, Writer) {
        let (capacity, window) = ids
            .as_ref()
            .map(|terms| (terms.capacity, terms.window))
            .unwrap_or_default();
        let shared = Arc::new(Shared {
            log,
            limits,
            metrics,
            trace,
            id_terms: ids,
            state: State::new(capacity, window).into(),
            work: tokio::sync::Notify::new(),
            stored: watch::Sender::new(0),
            recalled: watch::Sender::new(None),
            new_ids: tokio::sync::Notify::new(),
            ids_wanted: tokio::sync::Notify::new(),
            ended: watch::Sender::new(None),
        });
        let term = Term {
            epoch,
            nonce: random(),
        };
        let writer = Writer::new(Arc::clone(&shared), term);
        (Self { shared }, writer)
    }

    /// Counts what waits here, and what is kept for the sink, in a stream's share. To be
    /// called before anything is taken in.
    pub fn count_in(&self, share: &Arc<QueueShare>) {
        let mut state = self.shared.lock();
        state.waiting = Waiting::in_share(Arc::clone(share));
        state.kept = Kept::in_share(Arc::clone(share));
    }

    /// What the journal holds now.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let state = self.shared.lock();
        JournalStatus {
            backlog: state.records.saturating_sub(state.settled.records),
            bytes: state.used,
            limit: self.shared.limits.bytes,
            failure: state.failure.clone(),
            ids_failure: state.ids_failure.clone(),
        }
    }

    /// Waits until the writer has ended, and says why.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.shared.ended.subscribe();
        // The sender lives as long as this.
        let ended = ended.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|ended| ended.clone());
        ended.unwrap_or(Ended::Finished)
    }

    /// Has the writer end once everything that was taken in is stored, and how
    /// far it is settled.
    pub fn finish(&self) {
        self.shared.lock().is_finishing = true;
        self.shared.work.notify_one();
    }

    /// Takes in nothing more, and tells every request that waits.
    pub fn fail(&self, reason: &'static str) {
        let waiting = {
            let mut state = self.shared.lock();
            state.closed.get_or_insert(reason);
            state.waiting.clear()
        };
        self.shared.recalled.send_modify(|recalling| {
            recalling.get_or_insert(Err(reason));
        });
        for (pending, is_touched) in waiting {
            match is_touched {
                true => pending.completion.unknown(reason),
                false => pending.completion.not_delivered(reason),
            }
        }
    }

    /// Waits for the ids that requests had under earlier leaders; `None` if none are
    /// remembered. Requests with ids must wait for that.
    pub(crate) fn recall(&self) -> Option<Recall> {
        let terms = self.shared.id_terms.as_ref();
        terms.filter(|terms| terms.capacity > 0)?;
        Some(Recall(self.shared.recalled.subscribe()))
    }

    /// Messages before this one need no delivery any more.
    pub(crate) fn settle(&self, before: u64) {
        self.shared.settle(before);
    }

    /// Whether nothing waits to be stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.is_idle()
    }

    /// Reads from the first message that is not settled.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared), None)
    }

    /// Reads from this message.
    pub(crate) fn reader_from(&self, sequence: u64) -> Reader {
        Reader::new(Arc::clone(&self.shared), Some(sequence))
    }

    /// Whether so many more bytes would not be refused as too much now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let limits = self.shared.limits;
        let state = self.shared.lock();
        let waits = state.waiting.bytes().saturating_add(bytes);
        let stored = to_u64(waits).saturating_add(state.used);
        !state.is_full
            && waits <= limits.pending.max(bytes)
            && state.waiting.len() < limits.requests
            && state.waiting.has_room(bytes)
            && stored <= limits.bytes
    }

    /// Takes records in, to be acknowledged under this lease once they are
    /// stored. The request is known by these ids, if it has any. Records that are
    /// transferred from another node's journal are taken if there is any space.
    pub(crate) fn append(
        &self,
        lease: &Arc<Lease>,
        (ids, mut records): (Vec<RequestId>, Vec<LogRecord>),
        is_transferred: bool,
    ) -> Result<Receipt, Refused> {
        let shared = &self.shared;
        let limits = shared.limits;
        let mut state = shared.lock();
        state.has_space(limits)?;
        let mut last_sequence = state.last_sequence;
        let mut frames = Vec::new();
        for (index, record) in (0..).zip(&mut records) {
            let id = RecordId {
                epoch: lease.epoch(),
                sequence: last_sequence + 1,
            };
            if record.assign_id(id) {
                last_sequence = id.sequence;
            }
            put_record(index, record, &mut frames);
        }
        let added = frames.len() + ids.len() * ID_BYTES;
        if is_transferred {
            state.waiting.hold(added);
        } else {
            state.fits(added, limits)?;
            // Other streams may have taken the room.
            let held = state.waiting.try_hold(added);
            held.map_err(|NoRoom| Refused::Full)?;
        }
        state.last_sequence = last_sequence;
        let (completion, waiter) =
            Completion::of_request(records.len(), lease.epoch(), Producer::IsTold);
        let traced = match &shared.trace {
            Some(_) => records.iter().map(|record| record.id).collect(),
            None => Vec::new(),
        };
        let pending = PendingAcknowledgement {
            completion,
            lease: Arc::clone(lease),
            ids: traced,
        };
        let ticket = state.waiting.push(frames.into(), ids, pending);
        drop(state);
        shared.work.notify_one();
        let queue = Arc::clone(shared) as Arc<dyn Withdraw>;
        Ok(Receipt::new(waiter, ticket, queue))
    }
}

impl State {
    /// Whether anything can be taken in now.
    fn has_space(&self, limits: ReplicatedLimits) -> Result<(), Refused> {
        let waits = self.waiting.bytes();
        let is_at_limit = waits >= limits.pending
            || self.waiting.len() >= limits.requests
            || to_u64(waits) + self.used >= limits.bytes;
        match self.closed {
            Some(reason) => Err(Refused::Closed(reason)),
            None if self.is_full || is_at_limit => Err(Refused::Full),
            None => Ok(()),
        }
    }

    /// Whether so many bytes of frames fit.
    fn fits(&self, added: usize, limits: ReplicatedLimits) -> Result<(), Refused> {
        let waits = self.waiting.bytes() + added;
        if added > limits.pending || to_u64(added) > limits.bytes / 2 {
            Err(Refused::TooLarge)
        } else if waits > limits.pending || to_u64(waits) + self.used > limits.bytes {
            Err(Refused::Full)
        } else {
            Ok(())
        }
    }
}
