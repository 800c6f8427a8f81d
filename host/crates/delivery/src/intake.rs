//! The entrance to the delivery: requests go to the sink's queue, or to the
//! journal first.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::outcome::Refused;
use crate::producer::Producer;
use crate::queue::Queue;
use crate::receipt::Receipt;
use crate::replicated::{Recall, RequestId};
use crate::source::Store;
use sluice_types::lease::Lease;
use sluice_types::record::LogRecord;
use sluice_types::trace::TraceContext;

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// The sink has confirmed it.
    #[default]
    Sink,
    /// It is in the journal: on this node's disk, or on those of a majority of
    /// servers.
    Journal,
}

/// A text that names no kind of acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is neither sink nor journal")]
pub struct UnknownAck(String);

impl FromStr for Ack {
    type Err = UnknownAck;

    fn from_str(text: &str) -> Result<Self, UnknownAck> {
        match text {
            "sink" => Ok(Self::Sink),
            "journal" => Ok(Self::Journal),
            other => Err(UnknownAck(other.to_owned())),
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sink => "sink",
            Self::Journal => "journal",
        })
    }
}

/// Takes in the requests of one tenure.
#[derive(Debug)]
pub enum Intake {
    /// Requests are acknowledged when the sink has confirmed them:
    /// `--ack sink`.
    Sink(Arc<Queue>),
    /// Requests are acknowledged when they are in the journal: `--ack journal`.
    Journal(JournalIntake),
}

/// Writes requests to the journal, from which the sink's queue is fed.
#[derive(Debug)]
pub struct JournalIntake {
    store: Store,
    queue: Arc<Queue>,
    lease: Arc<Lease>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_sequence: u64,
    closed: Option<&'static str>,
}

impl Intake {
    /// Acknowledges from this journal, under this lease. `queue` is the
    /// tenure's queue, which a [`Feeder`](crate::Feeder) fills.
    #[must_use]
    pub fn journaled(journal: impl Into<Store>, queue: Arc<Queue>, lease: Arc<Lease>) -> Self {
        Self::Journal(JournalIntake {
            store: journal.into(),
            queue,
            lease,
            state: Mutex::default(),
        })
    }

    /// Takes a request in, in the order of the calls. `trace` is its span, if this
    /// node makes spans; the journal does not keep it.
    ///
    /// # Errors
    /// The reason why it was refused; none of it was delivered.
    pub fn submit(
        &self,
        producer: Producer,
        trace: Option<TraceContext>,
        records: Vec<LogRecord>,
    ) -> Result<Receipt, Refused> {
        self.submit_known(producer, trace, Vec::new(), records)
    }

    /// The same for a request that is known by these ids, which a replicated journal
    /// keeps.
    ///
    /// # Errors
    /// Those of [`Intake::submit`].
    pub fn submit_known(
        &self,
        producer: Producer,
        trace: Option<TraceContext>,
        ids: Vec<RequestId>,
        records: Vec<LogRecord>,
    ) -> Result<Receipt, Refused> {
        match self {
            Self::Sink(queue) => queue.submit_of(producer, trace, records),
            // Every producer is told that they are safe.
            Self::Journal(intake) => intake.submit((ids, records), false),
        }
    }

    /// Waits for the ids that requests had under earlier leaders. `None` if no journal
    /// keeps ids.
    #[must_use]
    pub fn recall(&self) -> Option<Recall> {
        match self {
            Self::Journal(JournalIntake {
                store: Store::Replicated(journal),
                ..
            }) => journal.recall(),
            Self::Sink(_) | Self::Journal(_) => None,
        }
    }

    /// Whether a request of so many records, which count so many bytes, would not
    /// be refused as too much at the moment.
    #[must_use]
    pub fn has_room(&self, records: usize, bytes: usize) -> bool {
        match self {
            Self::Sink(queue) => queue.has_room(records, bytes),
            Self::Journal(intake) => intake.store.has_room(bytes),
        }
    }

    /// Takes in records from another node's journal, whose producers were told
    /// already that they are safe. The caller bounds them: the limits on a
    /// request do not apply.
    ///
    /// # Errors
    /// The reason why they were refused.
    pub fn submit_transferred(&self, records: Vec<LogRecord>) -> Result<Receipt, Refused> {
        match self {
            Self::Sink(queue) => queue.submit_acknowledged(records),
            Self::Journal(intake) => intake.submit((Vec::new(), records), true),
        }
    }

    /// The tenure's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.queue().epoch()
    }

    /// Records and bytes that wait for the sink or are being offered to it.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        self.queue().depth()
    }

    /// Takes in nothing more. What was taken in before is still delivered.
    pub fn close(&self, reason: &'static str) {
        match self {
            Self::Sink(queue) => queue.close(reason),
            Self::Journal(intake) => _ = intake.lock().closed.get_or_insert(reason),
        }
    }

    fn queue(&self) -> &Queue {
        match self {
            Self::Sink(queue) => queue,
            Self::Journal(intake) => &intake.queue,
        }
    }
}

impl JournalIntake {
    fn submit(
        &self,
        (ids, records): (Vec<RequestId>, Vec<LogRecord>),
        is_transferred: bool,
    ) -> Result<Receipt, Refused> {
        let mut state = self.lock();
        if let Some(reason) = state.closed {
            return Err(Refused::Closed(reason));
        }
        match &self.store {
            Store::Local(journal) => {
                let last_sequence = &mut state.last_sequence;
                journal.append(&self.lease, last_sequence, records, is_transferred)
            }
            Store::Replicated(journal) => {
                journal.append(&self.lease, (ids, records), is_transferred)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_read_as_it_is_shown() {
        for ack in [Ack::Sink, Ack::Journal] {
            assert_eq!(ack.to_string().parse(), Ok(ack));
        }
        assert!("Sink".parse::<Ack>().is_err());
    }
}
