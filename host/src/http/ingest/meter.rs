//! What unpacking and decoding one request costs, charged before it is spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::http::memory_budget::{Exhausted, Reservation};
use crate::http::problem::Problem;
use sluice_delivery::Refused;

/// Counts what the work on one request spends, and ends the work when there is
/// no memory for it or nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Meter {
    reservation: Reservation,
    client: Client,
    stop: Option<Stop>,
}

/// Why work was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is no memory for it.
    Exhausted(Exhausted),
    /// The request has more records than may wait.
    TooManyRecords,
    /// The client has gone, or its time is over.
    Abandoned,
}

/// Whether anybody waits for the work.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    is_gone: Arc<AtomicBool>,
}

/// Says that nobody waits any more when it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Client);

impl Client {
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Meter {
    pub(super) const fn new(reservation: Reservation, client: Client) -> Self {
        Self {
            reservation,
            client,
            stop: None,
        }
    }

    /// Does work that spends from the reservation, and returns its result with
    /// what is spent.
    ///
    /// # Errors
    /// The error of the work, or the reason why it was stopped.
    pub(super) fn measure<T>(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<(T, Reservation), Problem> {
        let done = work(&mut self);
        match self.stop {
            Some(stop) => Err(stop.into()),
            None => done.map(|done| (done, self.reservation)),
        }
    }

    /// Charges bytes that are about to be allocated. If false, they must not be,
    /// and the work ends: its result does not count.
    #[must_use]
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        if self.is_stopped() {
            return false;
        }
        if let Err(exhausted) = self.reservation.spend(bytes) {
            self.stop(Stop::Exhausted(exhausted));
        }
        self.stop.is_none()
    }

    /// Whether the work must end.
    pub(super) fn is_stopped(&mut self) -> bool {
        if self.client.is_gone() {
            self.stop(Stop::Abandoned);
        }
        self.stop.is_some()
    }

    /// Ends the work; the first reason counts.
    pub(super) fn stop(&mut self, reason: Stop) {
        self.stop.get_or_insert(reason);
    }

    /// What is charged so far, in bytes.
    pub(super) const fn charged(&self) -> usize {
        self.reservation.spent()
    }

    /// Takes back what was charged beyond this, because it was freed.
    pub(super) fn reduce(&mut self, bytes: usize) {
        self.reservation.reduce(bytes);
    }

    /// Who waits.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Exhausted(exhausted) => exhausted.into(),
            Stop::TooManyRecords => Refused::TooLarge.into(),
            Stop::Abandoned => Self::Unavailable("nobody waits for this request".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::memory_budget::MemoryBudget;

    #[test]
    fn work_without_memory_fails_whatever_it_returns() {
        let budget = MemoryBudget::new(100);
        let mut other = budget.reserve();
        other.spend(80).unwrap();
        for (bytes, expected) in [
            (30, None),
            (50, Some(Problem::Full)),
            (101, Some(Exhausted::Ever.into())),
        ] {
            let meter = Meter::new(budget.reserve(), Client::default());
            let measured = meter.measure(|meter| Ok(meter.charge(10) && meter.charge(bytes - 10)));
            assert_eq!(measured.err(), expected);
        }
    }

    #[test]
    fn nothing_is_charged_for_a_client_that_has_gone() {
        let budget = MemoryBudget::new(100);
        let client = Client::default();
        let waiting = client.waiting();
        let mut meter = Meter::new(budget.reserve(), client);
        assert!(meter.charge(10));
        drop(waiting);
        assert!(!meter.charge(10) && meter.is_stopped());
        assert_eq!(meter.charged(), 10);
    }
}
