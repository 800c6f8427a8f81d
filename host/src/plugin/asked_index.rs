//! Remembers for each candidate the index of the key that asked for it.

use std::sync::{Arc, Weak};

use super::candidate::Candidate;

#[derive(Debug, Default)]
pub(super) struct AskedIndexes(Vec<(Weak<Candidate>, u64)>);

impl AskedIndexes {
    /// Notes that the key, written at this index, asks for the candidate; 0 if
    /// it is not the key that asks.
    pub(super) fn set(&mut self, candidate: &Arc<Candidate>, index: u64) {
        self.0
            .retain(|(other, _)| other.strong_count() > 0 && !is_same(other, candidate));
        self.0.push((Arc::downgrade(candidate), index));
    }

    /// The index that was noted last; 0 if there is none.
    pub(super) fn of(&self, candidate: &Arc<Candidate>) -> u64 {
        let noted = self.0.iter().find(|(other, _)| is_same(other, candidate));
        noted.map_or(0, |(_, index)| *index)
    }
}

fn is_same(weak: &Weak<Candidate>, candidate: &Arc<Candidate>) -> bool {
    std::ptr::eq(weak.as_ptr(), Arc::as_ptr(candidate))
}
