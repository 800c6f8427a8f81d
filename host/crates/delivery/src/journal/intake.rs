//! Where the requests of a tenure go: straight to the sink's queue, or to the
//! journal first.

use std::sync::{Arc, Mutex, PoisonError};

use super::state::Journal;
use crate::ack::Receipt;
use crate::queue::{Queue, Refused};
use sluice_types::lease::Lease;
use sluice_types::record::LogRecord;

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ack {
    /// The sink has confirmed it.
    #[default]
    Sink,
    /// It is on this node's disk.
    Journal,
}

/// Takes in the requests of one tenure.
#[derive(Debug)]
pub enum Intake {
    /// Acknowledged when the sink has confirmed them: `--ack sink`.
    Sink(Arc<Queue>),
    /// Acknowledged when they are on disk: `--ack journal`.
    Journal(Journaled),
}

/// Requests that go to the journal first.
#[derive(Debug)]
pub struct Journaled {
    journal: Journal,
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
    /// Acknowledges from this journal, under this lease. What the sink is
    /// offered goes through `queue`.
    #[must_use]
    pub fn journaled(journal: Journal, queue: Arc<Queue>, lease: Arc<Lease>) -> Self {
        Self::Journal(Journaled {
            journal,
            queue,
            lease,
            state: Mutex::default(),
        })
    }

    /// Takes a request in, in the order of the calls.
    ///
    /// # Errors
    /// Why it was not taken; nothing of it was delivered.
    pub fn submit(&self, records: Vec<LogRecord>) -> Result<Receipt, Refused> {
        self.take_in(records, false)
    }

    fn take_in(&self, records: Vec<LogRecord>, is_taken_over: bool) -> Result<Receipt, Refused> {
        match self {
            Self::Sink(queue) if is_taken_over => queue.submit_promised(records),
            Self::Sink(queue) => queue.submit(records),
            Self::Journal(journaled) => {
                let mut state = journaled.lock();
                match state.closed {
                    Some(reason) => Err(Refused::Closed(reason)),
                    None => journaled.journal.append(
                        &journaled.lease,
                        &mut state.last_sequence,
                        records,
                        is_taken_over,
                    ),
                }
            }
        }
    }

    /// The same for what another node has in its journal: its producers were
    /// told that it is safe. Whoever submits it bounds it.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn take_over(&self, records: Vec<LogRecord>) -> Result<Receipt, Refused> {
        self.take_in(records, true)
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

    /// Takes nothing more in; what was taken in goes its way.
    pub fn close(&self, reason: &'static str) {
        match self {
            Self::Sink(queue) => queue.close(reason),
            Self::Journal(journaled) => _ = journaled.lock().closed.get_or_insert(reason),
        }
    }

    fn queue(&self) -> &Queue {
        match self {
            Self::Sink(queue) => queue,
            Self::Journal(journaled) => &journaled.queue,
        }
    }
}

impl Journaled {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
