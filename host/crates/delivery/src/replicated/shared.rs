//! What the requests, the delivery and the writer of a replicated journal share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::envelope::Settled;
use super::id_terms::IdTerms;
use super::kept::Kept;
use super::limits::ReplicatedLimits;
use super::log::Log;
use super::recalled::Recalling;
use super::uncovered::Uncovered;
use super::waiting::Waiting;
use crate::metrics::StreamMetrics;
use crate::receipt::{Late, Withdraw};
use crate::trace::AckTrace;

/// Why nothing more is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another owner has the log, or it is not what it was.
    Fenced(String),
    /// Everything was written, after [`Replicated::finish`](super::Replicated::finish).
    Finished,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) log: Arc<dyn Log>,
    pub(super) limits: ReplicatedLimits,
    /// How ids of requests are remembered, if they are.
    pub(super) id_terms: Option<IdTerms>,
    pub(super) metrics: Arc<StreamMetrics>,
    pub(super) trace: Option<Arc<AckTrace>>,
    pub(super) state: Mutex<State>,
    /// Wakes the writer.
    pub(super) work: Notify,
    /// Messages before this one can be read; 0 until the log is open.
    pub(super) stored: watch::Sender<u64>,
    /// The ids of earlier requests.
    pub(super) recalled: watch::Sender<Recalling>,
    /// Wakes what keeps ids: there are new ones.
    pub(super) new_ids: Notify,
    /// The same: messages wait to be removed until their ids are kept.
    pub(super) ids_wanted: Notify,
    /// Why the writer has ended.
    pub(super) ended: watch::Sender<Option<Ended>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) waiting: Waiting,
    pub(super) last_sequence: u64,
    pub(super) closed: Option<&'static str>,
    /// Whether something was taken from what waits, and is not known to be
    /// stored.
    pub(super) is_under_way: bool,
    pub(super) settled: Settled,
    /// For messages that were read: the one after it, and the records up to
    /// there.
    pub(super) marks: VecDeque<(u64, u64)>,
    /// The number of records in the log since it began.
    pub(super) records: u64,
    /// The size of the log.
    pub(super) used: u64,
    /// Why nothing can be stored now.
    pub(super) failure: Option<String>,
    /// Whether the log has no room.
    pub(super) is_full: bool,
    /// Whether the writer ends once everything is written.
    pub(super) is_finishing: bool,
    /// The ids that are only in the log.
    pub(super) uncovered: Uncovered,
    /// Why ids cannot be kept now.
    pub(super) ids_failure: Option<String>,
    /// What is stored and not read yet.
    pub(super) kept: Kept,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why nothing can be stored now, or that it can.
    pub(super) fn set_failure(&self, failure: Option<&str>) {
        if is_news(&mut self.lock().failure, failure) {
            match failure {
                Some(reason) => tracing::warn!(reason, "the replicated journal cannot be written"),
                None => tracing::info!("the replicated journal can be written again"),
            }
        }
    }

    /// Says why ids of requests cannot be kept now, or that they can.
    pub(super) fn set_ids_failure(&self, failure: Option<&str>) {
        if is_news(&mut self.lock().ids_failure, failure) {
            match failure {
                Some(reason) => tracing::warn!(reason, "the ids of requests cannot be kept"),
                None => tracing::info!("the ids of requests can be kept again"),
            }
        }
    }

    /// Messages before `before` need no delivery any more.
    pub(super) fn settle(&self, before: u64) {
        let mut state = self.lock();
        if before <= state.settled.before {
            return;
        }
        state.settled.before = before;
        while let Some((_, records)) = state.marks.pop_front_if(|(end, _)| *end <= before) {
            state.settled.records = records;
        }
        drop(state);
        self.work.notify_one();
    }

    /// Whether nothing waits to be stored.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.is_under_way && state.waiting.is_empty()
    }
}

/// Takes over what is known of a failure; false if it was known.
fn is_news(known: &mut Option<String>, failure: Option<&str>) -> bool {
    if known.as_deref() == failure {
        return false;
    }
    *known = failure.map(ToOwned::to_owned);
    true
}

impl State {
    /// Nothing yet; so many ids are remembered for so long.
    pub(super) fn new(capacity: usize, window: Duration) -> Self {
        Self {
            waiting: Waiting::default(),
            last_sequence: 0,
            closed: None,
            is_under_way: false,
            settled: Settled::default(),
            marks: VecDeque::new(),
            records: 0,
            used: 0,
            failure: None,
            is_full: false,
            is_finishing: false,
            uncovered: Uncovered::new(capacity, window),
            ids_failure: None,
            kept: Kept::default(),
        }
    }
}

impl Withdraw for Shared {
    fn withdraw(&self, ticket: u64) -> bool {
        let withdrawn = self.lock().waiting.withdraw(ticket);
        let Some(withdrawn) = withdrawn else {
            return false;
        };
        withdrawn.completion.not_delivered("withdrawn");
        true
    }

    fn late(&self) -> Late {
        Late {
            not_taken: "the replicated journal could not be written in time",
            unknown: "the replicated journal did not confirm it in time",
        }
    }
}
