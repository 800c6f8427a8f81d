//! The right to write and to acknowledge, and until when it holds.
//!
//! The control thread creates a [`Lease`] when this node takes the lock, extends
//! it with every proof that the lock is still held, and revokes it. The data path
//! asks it before every effect. Nothing else connects the two.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::clock::BootTime;

/// `valid_until` of a lease that will never be valid again.
const REVOKED: u64 = 0;

/// What a lease says at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Effects are allowed, as of this reading of the clock.
    Valid(BootTime),
    /// Effects are not allowed now, but may be later: the tenure has not begun, or
    /// proofs are late.
    Suspended,
    /// Effects are never allowed again.
    Revoked,
}

/// One tenure of this node as the leader.
#[derive(Debug)]
pub struct Lease {
    epoch: u64,
    valid_from: BootTime,
    valid_until: AtomicU64,
    changed: Notify,
}

impl Lease {
    /// A lease that allows effects from `valid_from` to `valid_until`.
    #[must_use]
    pub fn new(epoch: u64, valid_from: BootTime, valid_until: BootTime) -> Self {
        Self {
            epoch,
            valid_from,
            valid_until: AtomicU64::new(valid_until.as_nanos()),
            changed: Notify::new(),
        }
    }

    /// The epoch of this tenure: the fencing token of everything it writes.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Reads the clock and says whether effects are allowed at that reading.
    #[must_use]
    pub fn ask(&self) -> Standing {
        self.at(BootTime::now())
    }

    /// What the lease says at a given reading of the clock.
    #[must_use]
    pub fn at(&self, now: BootTime) -> Standing {
        match self.valid_until.load(Ordering::Acquire) {
            REVOKED => Standing::Revoked,
            until if now >= self.valid_from && now.as_nanos() < until => Standing::Valid(now),
            _ => Standing::Suspended,
        }
    }

    /// How long it remains valid without another proof.
    #[must_use]
    pub fn remaining(&self) -> std::time::Duration {
        let now = BootTime::now();
        match self.at(now) {
            Standing::Valid(_) => {
                BootTime::from_nanos(self.valid_until.load(Ordering::Acquire)).since(now)
            }
            _ => std::time::Duration::ZERO,
        }
    }

    /// Until when it is valid without another proof; `None` if it was revoked.
    #[must_use]
    pub fn valid_until(&self) -> Option<BootTime> {
        let until = self.valid_until.load(Ordering::Acquire);
        (until != REVOKED).then(|| BootTime::from_nanos(until))
    }

    /// Makes it valid at least until `until`; a revoked lease stays revoked.
    pub fn extend(&self, until: BootTime) {
        let extended =
            self.valid_until
                .try_update(Ordering::AcqRel, Ordering::Acquire, |current| {
                    (current != REVOKED && current < until.as_nanos()).then_some(until.as_nanos())
                });
        if extended.is_ok() {
            self.changed.notify_waiters();
        }
    }

    /// Ends it for good.
    pub fn revoke(&self) {
        self.valid_until.store(REVOKED, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Waits until effects are allowed, and returns the reading of the clock;
    /// `None` if the lease was revoked. Ask again after any other wait.
    pub async fn valid(&self) -> Option<BootTime> {
        loop {
            // Subscribe before the check, so that no change falls between.
            let changed = self.changed.notified();
            match self.ask() {
                Standing::Valid(now) => return Some(now),
                Standing::Revoked => return None,
                Standing::Suspended => {
                    let until_start = self.valid_from.since(BootTime::now());
                    if until_start.is_zero() {
                        changed.await;
                    } else {
                        // The clock may be suspended, so look at it again.
                        tokio::select! {
                            () = changed => {}
                            () = tokio::time::sleep(until_start) => {}
                        }
                    }
                }
            }
        }
    }

    /// Waits until the lease is revoked.
    pub async fn revoked(&self) {
        loop {
            let changed = self.changed.notified();
            if self.valid_until.load(Ordering::Acquire) == REVOKED {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    const START: BootTime = BootTime::from_nanos(1_000);
    const END: BootTime = BootTime::from_nanos(2_000);

    #[test]
    fn is_valid_from_its_start_until_just_before_its_end() {
        let lease = Lease::new(1, START, END);
        assert_eq!(lease.at(BootTime::from_nanos(999)), Standing::Suspended);
        assert_eq!(lease.at(START), Standing::Valid(START));
        assert_eq!(
            lease.at(BootTime::from_nanos(1_999)),
            Standing::Valid(BootTime::from_nanos(1_999))
        );
        assert_eq!(lease.at(END), Standing::Suspended);
    }

    #[test]
    fn an_older_proof_does_not_shorten_it() {
        let lease = Lease::new(1, START, END);
        lease.extend(BootTime::from_nanos(1_500));
        assert_eq!(
            lease.at(BootTime::from_nanos(1_900)),
            Standing::Valid(BootTime::from_nanos(1_900))
        );
    }

    #[test]
    fn nothing_brings_a_revoked_lease_back() {
        let lease = Lease::new(1, START, END);
        lease.revoke();
        lease.extend(BootTime::from_nanos(u64::MAX));
        assert_eq!(lease.at(START), Standing::Revoked);
    }

    #[tokio::test]
    async fn waiters_hear_of_a_proof_and_of_the_end() {
        let lease = Arc::new(Lease::new(1, BootTime::default(), BootTime::from_nanos(1)));
        let waiter = tokio::spawn({
            let lease = Arc::clone(&lease);
            async move { lease.valid().await }
        });
        tokio::task::yield_now().await;
        lease.extend(BootTime::now() + Duration::from_secs(60));
        assert!(waiter.await.unwrap().is_some());
        lease.revoke();
        assert_eq!(lease.valid().await, None);
        lease.revoked().await;
    }
}
