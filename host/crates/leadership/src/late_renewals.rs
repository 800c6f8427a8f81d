//! Counts proofs of leadership that came late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_types::clock::BootTime;

/// How often a proof came when less than a third of the lease was left. Proofs are
/// asked for every third of a lease, so two thirds are left otherwise.
#[derive(Debug)]
pub struct LateRenewals {
    lease: Duration,
    count: AtomicU64,
}

impl LateRenewals {
    /// `lease` is how long a proof is valid.
    pub(crate) const fn new(lease: Duration) -> Self {
        Self {
            lease,
            count: AtomicU64::new(0),
        }
    }

    /// Notes that a lease is valid until `until`, after it was until `before`.
    pub(crate) fn extended(&self, before: BootTime, until: BootTime) {
        if until.since(before) > self.lease * 2 / 3 {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were since the start.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_in_time_are_not_counted() {
        let lease = Duration::from_millis(900);
        let late = LateRenewals::new(lease);
        let at = |ms| BootTime::from_nanos(1) + Duration::from_millis(ms);
        for (before, until, count) in [
            (900, 1200, 0),
            (1200, 1800, 0),
            (1800, 2401, 1),
            (2401, 2300, 1),
            (2401, 9000, 2),
        ] {
            late.extended(at(before), at(until));
            assert_eq!(late.get(), count, "{until}");
        }
    }
}
