use wasmtime::ResourceLimiter;

/// The most elements of one table of a guest. Each takes the size of a pointer
/// on the host.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Refuses memory beyond a limit in bytes, over all memories of an instance, and
/// remembers that it did.
pub(super) struct MemoryLimit {
    limit: usize,
    used: usize,
    was_hit: bool,
}

impl MemoryLimit {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            was_hit: false,
        }
    }

    /// The limit, if the instance asked for more.
    pub(super) fn hit(&self) -> Option<usize> {
        self.was_hit.then_some(self.limit)
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.used.saturating_add(desired.saturating_sub(current));
        if grown > self.limit {
            self.was_hit = true;
            return Ok(false);
        }
        self.used = grown;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(0, 30, None).unwrap());
        assert_eq!(limit.hit(), None);
        assert!(!limit.memory_growing(30, 41, None).unwrap());
        assert_eq!(limit.hit(), Some(100));
        assert!(limit.memory_growing(30, 40, None).unwrap());
    }

    #[test]
    fn a_table_is_bounded() {
        let mut limit = MemoryLimit::new(0);
        assert!(limit.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        assert!(
            !limit
                .table_growing(0, MAX_TABLE_ELEMENTS + 1, None)
                .unwrap()
        );
    }
}
