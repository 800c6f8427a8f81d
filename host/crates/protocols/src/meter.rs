//! What unpacking and decoding one request costs, charged before it is spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::memory_budget::{Exhausted, Reservation};

/// Counts what the work on one request spends, and ends the work when there is
/// no memory for it or nobody waits for it any more.
#[derive(Debug)]
pub struct Meter {
    reservation: Reservation,
    client: Client,
    stop: Option<Stop>,
}

/// Why work was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is no memory for it.
    Exhausted(Exhausted),
    /// The request has more records than may wait.
    TooManyRecords,
    /// The client has gone, or its time is over.
    Abandoned,
}

/// Whether anybody waits for the work.
#[derive(Clone, Debug, Default)]
pub struct Client {
    is_gone: Arc<AtomicBool>,
}

/// Says that nobody waits any more when it is dropped.
#[derive(Debug)]
pub struct Waiting(Client);

impl Client {
    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Says that somebody waits, until it is dropped.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Meter {
    /// Work that nothing was spent for yet but what the reservation says.
    #[must_use]
    pub const fn new(reservation: Reservation, client: Client) -> Self {
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
    pub fn measure<T, E: From<Stop>>(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<(T, Reservation), E> {
        let done = work(&mut self);
        match self.stop {
            Some(stop) => Err(stop.into()),
            None => done.map(|done| (done, self.reservation)),
        }
    }

    /// Charges bytes that are about to be allocated. If false, they must not be,
    /// and the work ends: its result does not count.
    #[must_use]
    pub fn charge(&mut self, bytes: usize) -> bool {
        if self.is_stopped() {
            return false;
        }
        if let Err(exhausted) = self.reservation.spend(bytes) {
            self.stop(Stop::Exhausted(exhausted));
        }
        self.stop.is_none()
    }

    /// Whether the work must end.
    pub fn is_stopped(&mut self) -> bool {
        if self.client.is_gone() {
            self.stop(Stop::Abandoned);
        }
        self.stop.is_some()
    }

    /// Ends the work; the first reason counts.
    pub fn stop(&mut self, reason: Stop) {
        self.stop.get_or_insert(reason);
    }

    /// What is charged so far, in bytes.
    #[must_use]
    pub const fn charged(&self) -> usize {
        self.reservation.spent()
    }

    /// Takes back what was charged beyond this, because it was freed.
    pub fn reduce(&mut self, bytes: usize) {
        self.reservation.reduce(bytes);
    }

    /// Who waits.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;

    #[test]
    fn work_without_memory_fails_whatever_it_returns() {
        let budget = MemoryBudget::new(100);
        let mut other = budget.reserve();
        other.spend(80).unwrap();
        for (bytes, expected) in [
            (30, None),
            (50, Some(Stop::Exhausted(Exhausted::Now))),
            (101, Some(Stop::Exhausted(Exhausted::Ever))),
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
