//! How a lock was found before it was taken.

use std::time::Duration;

use crate::lock::{CLEAN, Lock};

/// The longest possible lease. A node never writes flags that exceed it.
const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// How a lock was found before it was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The flags of the key; 0 if there was no key.
    pub(super) flags: u64,
}

impl Found {
    pub(super) fn new(lock: &Lock) -> Self {
        let flags = lock.key.as_ref().map_or(0, |key| key.flags);
        Self { flags }
    }

    const fn is_clean(self) -> bool {
        self.flags == CLEAN
    }

    /// The longest lease that an earlier holder may have had, according to the
    /// flags.
    fn lease(self) -> Duration {
        if self.is_clean() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.flags).min(LONGEST_LEASE)
    }

    /// How long a winner with this lease waits until no earlier lease can be
    /// running any more, whatever the clocks do.
    pub(super) fn wait(self, own_lease: Duration) -> Duration {
        if self.is_clean() {
            return Duration::ZERO;
        }
        own_lease.max(self.lease()) * 5 / 4
    }

    /// The flags while a node with this lease holds the lock: the longest lease
    /// that may be running, in milliseconds. If that node vanishes before its
    /// own wait is over, the next one must still wait for the node before.
    pub(super) fn flags_after(self, own_lease: Duration) -> u64 {
        let lease = own_lease.max(self.lease());
        u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
    }
}
