//! What waits in memory, counted in the share of its stream.

use std::sync::Arc;

use crate::queue_budget::{NoRoom, QueueShare};

/// Bytes of one holder. Dropped, it gives them back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// What the node has for all its streams, if that is bounded.
    share: Option<Arc<QueueShare>>,
    bytes: usize,
}

impl Held {
    /// Nothing yet; what is added counts in this share.
    pub(crate) const fn in_share(share: Arc<QueueShare>) -> Self {
        Self {
            share: Some(share),
            bytes: 0,
        }
    }

    /// Whether there is room for so many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let share = self.share.as_ref();
        share.is_none_or(|share| share.has_room(bytes))
    }

    /// Adds bytes if there is room for them.
    pub(crate) fn try_add(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if let Some(share) = &self.share {
            share.try_add(bytes)?;
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Adds bytes that are taken in anyway.
    pub(crate) fn add(&mut self, bytes: usize) {
        if let Some(share) = &self.share {
            share.add(bytes);
        }
        self.bytes += bytes;
    }

    /// Gives bytes back.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(share) = &self.share {
            share.release(bytes);
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue_budget::QueueBudget;

    #[test]
    fn what_is_held_counts_until_it_is_released_or_dropped() {
        let share = QueueBudget::new(1000, 1).share();
        let mut held = Held::in_share(Arc::clone(&share));
        assert_eq!(held.try_add(600), Ok(()));
        assert_eq!(held.try_add(600), Err(NoRoom));
        assert!(!held.has_room(600), "nothing was added");
        held.release(200);
        assert_eq!((held.bytes(), held.try_add(600)), (400, Ok(())));
        held.add(600);
        drop(held);
        assert!(share.has_room(1000));
    }
}
