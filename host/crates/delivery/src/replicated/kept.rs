//! Stored messages that are kept for the sink, so that they need not be read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::Stored;
use crate::queue_budget::QueueShare;

/// The most bytes that a stream keeps.
const KEPT_BYTES: usize = 8 << 20;

/// Messages in the order of the log. What is not kept is read.
#[derive(Debug, Default)]
pub(super) struct Kept {
    messages: VecDeque<Stored>,
    bytes: usize,
    /// What the node has for all its streams, if that is bounded.
    share: Option<Arc<QueueShare>>,
}

impl Kept {
    /// Nothing yet; what is kept counts in the budget of this share.
    pub(super) const fn in_share(share: Arc<QueueShare>) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            share: Some(share),
        }
    }

    /// Keeps a message instead of earlier ones, if there is room for it.
    pub(super) fn add(&mut self, message: Stored) {
        let bytes = message.payload.len();
        while self.bytes + bytes > KEPT_BYTES && self.pop().is_some() {}
        let has_room = |share: &Arc<QueueShare>| share.try_keep(bytes);
        while !self.share.as_ref().is_none_or(has_room) {
            if self.pop().is_none() {
                return;
            }
        }
        self.bytes += bytes;
        self.messages.push_back(message);
    }

    /// Takes out the message with this sequence. Earlier ones are not needed any more.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Stored> {
        while self.messages.front()?.sequence < sequence {
            self.pop();
        }
        let is_first = self.messages.front()?.sequence == sequence;
        is_first.then(|| self.pop()).flatten()
    }

    pub(super) fn clear(&mut self) {
        while self.pop().is_some() {}
        self.messages.shrink_to_fit();
    }

    fn pop(&mut self) -> Option<Stored> {
        let oldest = self.messages.pop_front()?;
        self.bytes -= oldest.payload.len();
        if let Some(share) = &self.share {
            share.forget(oldest.payload.len());
        }
        Some(oldest)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue_budget::QueueBudget;

    fn message(sequence: u64) -> Stored {
        Stored {
            sequence,
            envelope: None,
            time: 0,
            payload: vec![0; 100].into(),
        }
    }

    fn sequences(kept: &Kept) -> Vec<u64> {
        kept.messages
            .iter()
            .map(|message| message.sequence)
            .collect()
    }

    #[test]
    fn the_latest_messages_are_kept_within_the_budget_of_all_streams() {
        // A quarter is for what is kept.
        let budget = QueueBudget::new(1200, 2);
        let (mut own, mut other) = (
            Kept::in_share(budget.share()),
            Kept::in_share(budget.share()),
        );
        (1..=4).for_each(|sequence| own.add(message(sequence)));
        assert_eq!(sequences(&own), [2, 3, 4]);
        other.add(message(7));
        assert!(sequences(&other).is_empty(), "another stream has all of it");
        assert_eq!(own.take(3), Some(message(3)));
        assert_eq!(sequences(&own), [4], "2 is not needed any more");
        other.add(message(8));
        assert_eq!(own.take(3), None);
        own.clear();
        other.add(message(9));
        other.add(message(10));
        assert_eq!(sequences(&other), [8, 9, 10]);
        drop(other);
        (1..=3).for_each(|sequence| own.add(message(sequence)));
        assert_eq!(sequences(&own), [1, 2, 3]);
    }
}
