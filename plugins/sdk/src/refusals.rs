//! The records of a batch that were not taken.

use crate::{Failure, Refusal};

/// The records of a batch that were not taken, while the rest was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Every record was taken.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Refuses the record at `index` of the batch. A record that is refused twice
    /// keeps its first reason.
    pub fn push(&mut self, index: usize, failure: Failure) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.0.push(Refusal { index, failure });
    }

    /// Refuses a record for good: its producer is told.
    pub fn permanent(&mut self, index: usize, reason: impl Into<String>) {
        self.push(index, Failure::permanent(reason));
    }

    /// Refuses a record for now: the host offers it again, alone or with others
    /// of this batch that were refused for now.
    pub fn retryable(&mut self, index: usize, reason: impl Into<String>) {
        self.push(index, Failure::retryable(reason));
    }

    /// Whether every record was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of refusals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The refusals, in the order in which they were pushed.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &Failure)> {
        let refusals = self.0.iter();
        refusals.map(|refusal| (refusal.index as usize, &refusal.failure))
    }

    /// The indices of the records that are refused for good.
    #[must_use]
    pub fn permanent_indices(&self) -> Vec<usize> {
        self.indices(|failure| !failure.is_retryable())
    }

    /// The indices of the records that are refused for now.
    #[must_use]
    pub fn retryable_indices(&self) -> Vec<usize> {
        self.indices(Failure::is_retryable)
    }

    fn indices(&self, wanted: impl Fn(&Failure) -> bool) -> Vec<usize> {
        let found = self.iter().filter(|(_, failure)| wanted(failure));
        let mut indices: Vec<_> = found.map(|(index, _)| index).collect();
        indices.sort_unstable();
        indices
    }

    /// What the host gets: each index once, in growing order.
    pub(crate) fn into_list(mut self) -> Vec<Refusal> {
        // A stable sort, so the first reason stays in front.
        self.0.sort_by_key(|refusal| refusal.index);
        self.0.dedup_by_key(|refusal| refusal.index);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_gets_each_index_once_with_its_first_reason() {
        let mut refusals = Refusals::none();
        refusals.permanent(7, "first");
        refusals.retryable(2, "two");
        refusals.retryable(7, "second");
        let list: Vec<_> = refusals
            .into_list()
            .iter()
            .map(|refusal| (refusal.index, refusal.failure.reason().to_owned()))
            .collect();
        assert_eq!(list, [(2, "two".to_owned()), (7, "first".to_owned())]);
    }
}
