//! The reads of the counter of epochs: at most one is under way.

/// Whether the counter is being read.
#[derive(Debug, Default)]
pub(super) struct EpochReads {
    is_under_way: bool,
    is_wanted: bool,
    /// What other nodes knew when the last read began.
    pub(super) known: u64,
}

impl EpochReads {
    /// Whether a read may begin now; if one is under way, another follows it. Other
    /// nodes know the epoch `known`.
    pub(super) fn may_begin(&mut self, known: u64) -> bool {
        self.is_wanted = self.is_under_way;
        if self.is_under_way {
            return false;
        }
        self.is_under_way = true;
        self.known = self.known.max(known);
        true
    }

    /// A read has ended. Returns whether another one is wanted.
    pub(super) fn ended(&mut self) -> bool {
        self.is_under_way = false;
        std::mem::take(&mut self.is_wanted)
    }
}
