//! A bound on the memory of all requests that are being read, unpacked and
//! decoded, and of the answers that are being sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A body or an answer of up to this many bytes is not charged. The number of
/// connections bounds these.
pub const UNCHARGED_BYTES: usize = 4 << 10;

/// The least and the most bytes that a reservation asks for ahead, so that a
/// request with many records rarely touches the shared counter.
const AHEAD_MIN: usize = 4 << 10;
const AHEAD_MAX: usize = 256 << 10;
/// The most that a request may hold, as a multiple of what it leaves to others.
/// However many requests hold all that they can, this leaves room for a smaller
/// one.
const LEFT_MULTIPLE: usize = 4;

/// How many bytes all requests together may take.
#[derive(Debug)]
pub struct MemoryBudget {
    /// The most of one request.
    one: usize,
    /// The most of all together: as much, and what that leaves to others.
    all: usize,
    used: AtomicUsize,
}

/// Why bytes cannot be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Other requests have them at the moment.
    Now,
    /// No request may hold as many.
    Ever,
}

/// One request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    /// What counts in the budget.
    held: usize,
    /// What the request needs of it; never more.
    spent: usize,
}

impl MemoryBudget {
    /// A budget of which one request alone may hold this many bytes, and all
    /// together a quarter more.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            one: bytes,
            all: bytes.saturating_add(bytes.div_ceil(LEFT_MULTIPLE)),
            used: AtomicUsize::new(0),
        })
    }

    /// An empty reservation.
    pub fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            held: 0,
            spent: 0,
        }
    }

    /// Takes bytes for a request that then holds `held`, if it leaves enough to
    /// others.
    fn take(&self, bytes: usize, held: usize) -> bool {
        let within = |used: usize| {
            let used = used.checked_add(bytes)?;
            let left = self.all.checked_sub(used)?;
            (held <= left.saturating_mul(LEFT_MULTIPLE)).then_some(used)
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok()
    }
}

impl Reservation {
    /// Reserves more bytes. They may be allocated only after this.
    ///
    /// # Errors
    /// The budget does not have them; nothing has changed.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let spent = self.spent.saturating_add(bytes);
        if spent > self.held {
            self.hold(spent)?;
        }
        self.spent = spent;
        Ok(())
    }

    /// Spends at least `bytes` in total, even if the budget does not have them:
    /// for an answer that must be given. Others wait until they are there.
    pub fn force(&mut self, bytes: usize) {
        self.allow(bytes.saturating_sub(self.spent));
        self.spent = self.spent.max(bytes);
    }

    /// Makes sure that so many more bytes can be spent, as [`Self::force`] does.
    pub fn allow(&mut self, bytes: usize) {
        let missing = (self.spent + bytes).saturating_sub(self.held);
        self.budget.used.fetch_add(missing, Ordering::Relaxed);
        self.held += missing;
    }

    /// What is spent, in bytes.
    #[must_use]
    pub const fn spent(&self) -> usize {
        self.spent
    }

    /// Says that only `bytes` of what was spent are still needed. The rest stays
    /// reserved for this request.
    pub fn reduce(&mut self, bytes: usize) {
        self.spent = self.spent.min(bytes);
    }

    /// Moves this many of the spent bytes to a reservation of their own.
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.spent);
        self.held -= bytes;
        self.spent -= bytes;
        Self {
            budget: Arc::clone(&self.budget),
            held: bytes,
            spent: bytes,
        }
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.budget.one {
            return Err(Exhausted::Ever);
        }
        let ahead = self.held + self.held.clamp(AHEAD_MIN, AHEAD_MAX);
        for target in [bytes.max(ahead), bytes] {
            if self.budget.take(target - self.held, target) {
                self.held = target;
                return Ok(());
            }
        }
        Err(Exhausted::Now)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.held > 0 {
            self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(budget: &MemoryBudget) -> usize {
        budget.used.load(Ordering::Relaxed)
    }

    #[test]
    fn bytes_that_one_request_gives_back_another_can_reserve() {
        let budget = MemoryBudget::new(80);
        let (mut one, mut other) = (budget.reserve(), budget.reserve());
        assert!(one.spend(40).is_ok() && one.spend(40).is_ok());
        assert_eq!(one.spend(1), Err(Exhausted::Ever));
        assert_eq!(other.spend(30), Err(Exhausted::Now));
        drop(one);
        assert!(other.spend(80).is_ok());
        drop(other);
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn however_many_hold_all_that_they_can_a_smaller_request_finds_room() {
        const ONE: usize = 64 << 20;
        for (holders, most, smaller) in [
            (4, 16 << 20, 8 << 20),
            (20, 16 << 20, 700 << 10),
            (1000, 1 << 20, 12 << 10),
        ] {
            let budget = MemoryBudget::new(ONE);
            let mut held: Vec<_> = (0..holders).map(|_| budget.reserve()).collect();
            // Each takes a bit more in turn, like bodies that are being read.
            for _ in 0..most >> 16 {
                for holder in &mut held {
                    _ = holder.spend(64 << 10);
                }
            }
            assert!(used(&budget) > ONE * 9 / 10);
            assert!(used(&budget) <= ONE + ONE / LEFT_MULTIPLE);
            assert_eq!(budget.reserve().spend(16 << 20), Err(Exhausted::Now));
            assert_eq!(budget.reserve().spend(smaller), Ok(()), "{holders}");
        }
    }

    #[test]
    fn what_is_reserved_ahead_never_makes_a_request_fail() {
        let budget = MemoryBudget::new(AHEAD_MAX);
        let mut reservation = budget.reserve();
        for _ in 0..AHEAD_MAX {
            assert_eq!(reservation.spend(1), Ok(()));
        }
        assert_eq!(reservation.spend(1), Err(Exhausted::Ever));
        assert_eq!(used(&budget), AHEAD_MAX);
    }

    #[test]
    fn a_part_outlives_the_rest_and_can_grow_beyond_the_budget() {
        let budget = MemoryBudget::new(100);
        let mut request = budget.reserve();
        request.spend(90).unwrap();
        let mut answer = request.split(30);
        assert_eq!((request.spent(), answer.spent()), (60, 30));
        drop(request);
        answer.force(150);
        assert_eq!(used(&budget), 150);
        assert_eq!(budget.reserve().spend(1), Err(Exhausted::Now));
        answer.allow(10);
        assert_eq!(used(&budget), 160);
        assert_eq!(answer.spend(10), Ok(()));
        drop(answer);
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn what_is_no_longer_needed_can_be_spent_again() {
        let budget = MemoryBudget::new(10);
        let mut reservation = budget.reserve();
        reservation.spend(10).unwrap();
        reservation.reduce(4);
        assert!(reservation.spend(6).is_ok());
        assert_eq!(reservation.spend(1), Err(Exhausted::Ever));
    }
}
