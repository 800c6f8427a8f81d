//! Whether Consul still has the state that it had.

use std::time::Duration;

use sluice_consul::{Client, Entry, Error};
use sluice_leadership::LEAST_LEAP;
use sluice_types::keys::ClusterKeys;

/// The time for a read of the counter.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A counter that is so far ahead of another one does not count on from it: its state was
/// lost, and a node has leapt over all epochs that it knew. Between two looks at the
/// counter, nodes do not take so many locks.
const LEAP: u64 = LEAST_LEAP / 2;

/// The counter of epochs, which every cluster has once a node has led. If Consul loses
/// its state, the next node that takes a lock creates it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// The `CreateIndex` of its key. A server that starts without its state may come to
    /// the same one.
    pub(super) created: u64,
    epoch: u64,
}

impl Counter {
    /// Reads the counter; `None` if there is none.
    ///
    /// # Errors
    /// No usable answer.
    pub(super) async fn read(client: &Client, keys: &ClusterKeys) -> Result<Option<Self>, Error> {
        let read = client.read_consistent(&keys.epoch(), TIMEOUT).await?;
        Ok(read.value.as_ref().map(Self::of))
    }

    fn of(entry: &Entry) -> Self {
        let text = std::str::from_utf8(&entry.value).unwrap_or_default();
        Self {
            created: entry.create_index,
            epoch: text.trim().parse().unwrap_or_default(),
        }
    }

    /// Whether Consul has had its state all the time since it had the counter `before`.
    pub(super) fn continues(self, before: Self) -> bool {
        let advance = self.epoch.checked_sub(before.epoch);
        self.created == before.created && advance.is_some_and(|advance| advance < LEAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counter(created: u64, epoch: u64) -> Counter {
        Counter { created, epoch }
    }

    #[test]
    fn a_counter_that_was_created_again_does_not_continue() {
        let before = counter(20, 7);
        assert!(counter(20, 7).continues(before));
        assert!(counter(20, 40).continues(before));
        assert!(!counter(90, 8).continues(before));
        // At the same index, by a server that started without its state.
        assert!(!counter(20, 7 + LEAST_LEAP).continues(before));
        assert!(!counter(20, 1).continues(before));
    }
}
