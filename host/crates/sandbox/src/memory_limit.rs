//! What an instance may use of the node's memory.

use wasmtime::ResourceLimiter;

use super::refusals::{Refused, SinkRefusals};

/// What an element of a table takes on the host, in bytes: a pointer, and as
/// much again because a table that grows doubles its room.
const TABLE_ELEMENT: usize = 2 * size_of::<usize>();
/// The most memories, and the most tables. Each memory reserves some GiB of
/// addresses.
const MAX_MEMORIES_AND_TABLES: usize = 256;

/// Refuses memory beyond a limit in bytes, over all memories and tables of an
/// instance, and remembers that it did.
pub(super) struct MemoryLimit {
    limit: usize,
    core_instances: usize,
    used: usize,
    was_hit: bool,
    refusals: SinkRefusals,
}

impl MemoryLimit {
    pub(super) const fn new(limit: usize, core_instances: usize, refusals: SinkRefusals) -> Self {
        Self {
            limit,
            core_instances,
            used: 0,
            was_hit: false,
            refusals,
        }
    }

    /// The limit in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.limit
    }

    /// What is used, in bytes. Memories never shrink.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Remembers that something would not have fitted.
    pub(super) fn refuse(&mut self) {
        if self.was_hit {
            return;
        }
        self.was_hit = true;
        let limit = format!(
            "{} MiB (limits.memory_mib, at most --max-memory)",
            self.limit >> 20
        );
        self.refusals
            .report(Refused::Memory, "more memory than its limit", &limit);
    }

    /// The limit, if the instance asked for more.
    pub(super) fn hit(&self) -> Option<usize> {
        self.was_hit.then_some(self.limit)
    }

    /// Charges what grows from one size to another, in bytes.
    fn grow(&mut self, from: usize, to: usize) -> bool {
        let grown = self.used.saturating_add(to.saturating_sub(from));
        if grown > self.limit {
            self.refuse();
            return false;
        }
        self.used = grown;
        true
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT);
        Ok(self.grow(bytes(current), bytes(desired)))
    }

    fn instances(&self) -> usize {
        self.core_instances
    }

    fn tables(&self) -> usize {
        MAX_MEMORIES_AND_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES_AND_TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals::Refusals;

    fn refusals() -> SinkRefusals {
        Refusals::new(|_| ()).of("test")
    }

    #[test]
    fn all_memories_and_tables_of_an_instance_count_together() {
        let mut limit = MemoryLimit::new(100 * TABLE_ELEMENT, 1, refusals());
        let of = |elements| elements * TABLE_ELEMENT;
        assert!(limit.memory_growing(0, of(60), None).unwrap());
        assert!(limit.memory_growing(0, of(20), None).unwrap());
        assert!(limit.table_growing(0, 10, None).unwrap());
        assert_eq!(limit.hit(), None);
        assert!(!limit.memory_growing(of(20), of(31), None).unwrap());
        assert_eq!(limit.hit(), Some(of(100)));
        assert!(!limit.table_growing(10, 21, None).unwrap());
        assert!(limit.table_growing(10, 20, None).unwrap());
        assert!(!limit.table_growing(0, 1, None).unwrap());
    }

    #[test]
    fn no_size_of_a_table_overflows() {
        let mut limit = MemoryLimit::new(usize::MAX - 1, 1, refusals());
        assert!(!limit.table_growing(0, usize::MAX, None).unwrap());
    }
}
