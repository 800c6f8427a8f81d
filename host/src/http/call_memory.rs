//! The memory of requests over HTTP/2, of which a connection has many at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// What a request over HTTP/2 takes besides what its route charges: its head, which
/// is bounded, and its task.
const REQUEST_BYTES: usize = 32 << 10;
/// What all requests may take besides the first one of each connection, in bytes.
const REQUESTS_BYTES: usize = 32 << 20;
/// How many sources are remembered before those without connections are forgotten.
const SOURCES_KEPT: usize = 64;

/// The memory of all requests. However much a source takes, it leaves a part to others.
#[derive(Debug)]
pub(super) struct CallMemory {
    budget: Arc<MemoryBudget>,
    sources: Mutex<HashMap<Option<IpAddr>, Weak<Share>>>,
}

/// What the requests of a source take.
#[derive(Debug)]
struct Share {
    budget: Arc<MemoryBudget>,
    taken: Mutex<Reservation>,
}

/// What the requests of a connection take. One at a time is free, as it is over
/// HTTP/1.1, so that nobody is shut out.
#[derive(Debug)]
pub(super) struct CallPlaces {
    share: Arc<Share>,
    has_free: AtomicBool,
}

/// What one request takes, until it is dropped.
#[derive(Debug)]
pub(super) struct CallPlace {
    places: Arc<CallPlaces>,
    is_free: bool,
}

impl Default for CallMemory {
    fn default() -> Self {
        Self {
            budget: MemoryBudget::new(REQUESTS_BYTES),
            sources: Mutex::default(),
        }
    }
}

impl CallMemory {
    /// For a connection from this address.
    pub(super) fn of(&self, source: Option<IpAddr>) -> Arc<CallPlaces> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sources.get(&source).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            if sources.len() >= SOURCES_KEPT && sources.len() == sources.capacity() {
                sources.retain(|_, share| share.strong_count() > 0);
            }
            let share = Arc::new(Share {
                budget: Arc::clone(&self.budget),
                taken: Mutex::new(self.budget.reserve()),
            });
            sources.insert(source, Arc::downgrade(&share));
            share
        });
        Arc::new(CallPlaces {
            share,
            has_free: AtomicBool::new(true),
        })
    }
}

impl CallPlaces {
    /// Memory for one more request; `None` if there is none for this source.
    pub(super) fn take(self: &Arc<Self>) -> Option<CallPlace> {
        let is_free = self.has_free.swap(false, Ordering::Relaxed);
        let has_place = is_free || self.share.take();
        has_place.then(|| CallPlace {
            places: Arc::clone(self),
            is_free,
        })
    }
}

impl Share {
    fn take(&self) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.spend(REQUEST_BYTES).is_ok()
    }

    fn give_back(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.spent().saturating_sub(REQUEST_BYTES);
        // It keeps nothing ahead while it has nothing.
        match left {
            0 => *taken = self.budget.reserve(),
            left => taken.reduce(left),
        }
    }
}

impl Drop for CallPlace {
    fn drop(&mut self) {
        match self.is_free {
            true => self.places.has_free.store(true, Ordering::Relaxed),
            false => self.places.share.give_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> Option<IpAddr> {
        Some([192, 0, 2, number].into())
    }

    fn all_of(places: &Arc<CallPlaces>) -> Vec<CallPlace> {
        std::iter::from_fn(|| places.take()).collect()
    }

    #[test]
    fn a_source_leaves_places_to_others_on_however_many_connections() {
        let memory = CallMemory::default();
        let connections: Vec<_> = (0..100).map(|_| memory.of(source(1))).collect();
        let greedy: Vec<_> = connections.iter().flat_map(all_of).collect();
        assert!(greedy.len() > 500, "{}", greedy.len());
        let other = all_of(&memory.of(source(2)));
        assert!(other.len() > 50, "{}", other.len());
        // Whatever they take, a connection has one request.
        for number in 3..255 {
            assert!(memory.of(source(number)).take().is_some());
        }
        drop((greedy, other));
        assert!(all_of(&memory.of(source(3))).len() > 500);
    }

    #[test]
    fn sources_without_connections_are_forgotten() {
        let memory = CallMemory::default();
        for number in 0..10_000_u32 {
            let address = std::net::Ipv4Addr::from(number);
            drop(memory.of(Some(address.into())));
        }
        let known = memory.sources.lock().unwrap().len();
        assert!(known <= 4 * SOURCES_KEPT, "{known}");
    }
}
