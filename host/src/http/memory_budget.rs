//! A bound on the memory of all request bodies that are being read at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes all requests together may hold.
#[derive(Debug)]
pub(crate) struct MemoryBudget(Arc<Semaphore>);

/// One request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// A budget of `bytes`, at most 2^61 on 64-bit machines.
    #[must_use]
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Arc::new(Self(Arc::new(Semaphore::new(bytes))))
    }

    /// An empty reservation, for [`Reservation::grow`].
    pub(super) fn reserve(&self) -> Reservation {
        Reservation {
            budget: Arc::clone(&self.0),
            held: None,
        }
    }
}

impl Reservation {
    /// Reserves more bytes; false if the budget does not have them.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        // The semaphore counts permits in 32 bits.
        let Ok(bytes) = u32::try_from(bytes) else {
            return false;
        };
        let Ok(more) = Arc::clone(&self.budget).try_acquire_many_owned(bytes) else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_one_request_gives_back_another_can_reserve() {
        let budget = MemoryBudget::new(10);
        let (mut one, mut other) = (budget.reserve(), budget.reserve());
        assert!(one.grow(4) && one.grow(4));
        assert!(!other.grow(3));
        drop(one);
        assert!(other.grow(7) && !other.grow(4));
        assert!(other.grow(3));
    }
}
