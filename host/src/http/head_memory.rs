//! The memory of the heads of requests that have not arrived completely.

use std::sync::Arc;

use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// What all unfinished heads may take beyond their first parts, in bytes. A head
/// of a usual client arrives in one part, and the number of connections bounds
/// these.
const HEADS_BYTES: usize = 16 << 20;

/// The memory of all unfinished heads.
pub(super) fn heads() -> Arc<MemoryBudget> {
    MemoryBudget::new(HEADS_BYTES)
}

/// What the unfinished head of one connection takes.
#[derive(Debug)]
pub(super) struct HeadMemory {
    heads: Arc<MemoryBudget>,
    has_begun: bool,
    /// For what came after the first part.
    more: Option<Reservation>,
}

impl HeadMemory {
    pub(super) const fn new(heads: Arc<MemoryBudget>) -> Self {
        Self {
            heads,
            has_begun: false,
            more: None,
        }
    }

    /// The head is complete, or none has begun.
    pub(super) fn clear(&mut self) {
        self.has_begun = false;
        self.more = None;
    }

    /// Another part has arrived, of so many bytes, and the ones before it were
    /// not the whole head. False if there is no memory for it.
    pub(super) fn add(&mut self, bytes: usize) -> bool {
        if !self.has_begun {
            self.has_begun = true;
            return true;
        }
        let more = self.more.get_or_insert_with(|| self.heads.reserve());
        more.spend(bytes).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_first_part_of_a_head_is_charged_until_it_is_complete() {
        let heads = MemoryBudget::new(100_000);
        let mut slow = HeadMemory::new(Arc::clone(&heads));
        assert!(slow.add(1_000_000) && slow.add(80_000));
        let mut other = HeadMemory::new(Arc::clone(&heads));
        assert!(other.add(1000) && !other.add(80_000));
        slow.clear();
        other.clear();
        assert!(other.add(1000) && other.add(80_000));
    }
}
