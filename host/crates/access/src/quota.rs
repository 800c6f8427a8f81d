//! How much a client may send.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::Bucket;

/// The most bytes of bodies that requests of one client may hold while they wait for its
/// quota. A single one may be larger.
const PARKED_BYTES: usize = 1 << 20;

/// How long a refusal is held back, at least and at most.
const REFUSAL_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The time between two refusals, so that a client with many connections, which sends on
/// without waiting, costs others little.
const REFUSAL_INTERVAL: Duration = Duration::from_millis(2);

/// How much a client may send: records and bytes per second. Without limits, all
/// that it wants.
#[derive(Debug, Default)]
pub struct Quota {
    limits: Limits,
    state: Mutex<State>,
    parked: AtomicUsize,
}

/// The limits of a quota, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) records: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

/// So many records, and bytes of texts and attributes, as they count for the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    records: Option<Bucket>,
    bytes: Option<Bucket>,
    /// Until then the client must wait, as another node has said.
    held_until: Option<Instant>,
    /// When the last refusal is due.
    refused_at: Option<Instant>,
}

/// What a request holds while it waits for its client's quota.
#[derive(Debug)]
pub struct Parked {
    quota: Arc<Quota>,
    bytes: usize,
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State {
            records: limits.records.map(Bucket::new),
            bytes: limits.bytes.map(Bucket::new),
            held_until: None,
            refused_at: None,
        };
        Self {
            limits,
            state: Mutex::new(state),
            parked: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// How long until the client may send again; zero if it may now.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.state().wait()
    }

    /// Takes this much, and all of it, if there is anything left. In the same step,
    /// gives back what was taken before for the same request.
    ///
    /// # Errors
    /// How long the client must wait. What was taken before is given back.
    pub fn exchange(&self, before: Amount, now: Amount) -> Result<(), Duration> {
        let mut state = self.state();
        state.give_back(before);
        let wait = state.wait();
        if !wait.is_zero() {
            return Err(wait);
        }
        if let Some(bucket) = &mut state.records {
            bucket.take(now.records);
        }
        if let Some(bucket) = &mut state.bytes {
            bucket.take(now.bytes);
        }
        Ok(())
    }

    /// Gives back what was not needed after all.
    pub fn give_back(&self, amount: Amount) {
        self.state().give_back(amount);
    }

    /// Notes that another node, which counts for the whole cluster, wants the client to
    /// wait.
    pub fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        state.held_until = state.held_until.max(Some(until));
    }

    /// How long a refusal is to be held back. Each has a time of its own, unless very
    /// many requests wait for theirs.
    #[must_use]
    pub fn refusal_delay(&self) -> Duration {
        let (least, most) = REFUSAL_DELAYS;
        let now = Instant::now();
        let mut state = self.state();
        let after_last = state.refused_at.map_or(now, |last| last + REFUSAL_INTERVAL);
        let at = after_last.clamp(now + least, now + most);
        state.refused_at = Some(at);
        at.duration_since(now)
    }

    /// A place for a request that waits for the quota and holds so many bytes; `None`
    /// if others of the client hold too much.
    #[must_use]
    pub fn park(self: &Arc<Self>, bytes: usize) -> Option<Parked> {
        let more = |held: usize| {
            let total = held.saturating_add(bytes);
            (held == 0 || total <= PARKED_BYTES).then_some(total)
        };
        let parked = self
            .parked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        parked.ok().map(|_| Parked {
            quota: Arc::clone(self),
            bytes,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self) -> Duration {
        let wait =
            |bucket: &mut Option<Bucket>| bucket.as_mut().map(Bucket::wait).unwrap_or_default();
        let held = self.held_until.unwrap_or_else(Instant::now);
        let held = held.saturating_duration_since(Instant::now());
        wait(&mut self.records).max(wait(&mut self.bytes)).max(held)
    }

    fn give_back(&mut self, amount: Amount) {
        if let Some(bucket) = &mut self.records {
            bucket.give_back(amount.records);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.give_back(amount.bytes);
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.quota.parked.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn records(records: usize) -> Amount {
        Amount { records, bytes: 0 }
    }

    fn ten_a_second() -> Arc<Quota> {
        Arc::new(Quota::new(Limits {
            records: Some(10),
            bytes: None,
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn of_requests_that_were_let_in_at_once_only_those_within_the_quota_pass() {
        let quota = ten_a_second();
        let nothing = Amount::default();
        let let_in = (0..100).filter(|_| quota.exchange(nothing, records(1)).is_ok());
        let let_in = let_in.count();
        assert_eq!(let_in, 10);
        let passed = (0..let_in).filter(|_| quota.exchange(records(1), records(35)).is_ok());
        assert_eq!(passed.count(), 1);
        // What the others had taken in advance is there again.
        let wait = quota.wait();
        assert!(wait >= Duration::from_millis(2500), "{wait:?}");
        assert!(wait < Duration::from_millis(2501), "{wait:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_node_says_counts_until_its_time_is_over() {
        let quota = ten_a_second();
        quota.hold(Duration::from_secs(2));
        quota.hold(Duration::from_secs(1));
        assert_eq!(quota.wait(), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(quota.exchange(Amount::default(), records(1)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_many_requests_are_spread_over_time() {
        let quota = ten_a_second();
        let delays: Vec<_> = (0..2000).map(|_| quota.refusal_delay()).collect();
        let (least, most) = REFUSAL_DELAYS;
        assert_eq!((delays[0], delays[1]), (least, least + REFUSAL_INTERVAL));
        assert_eq!(
            (delays[500], delays[1999]),
            (least + 500 * REFUSAL_INTERVAL, most)
        );
        tokio::time::advance(most).await;
        assert_eq!(quota.refusal_delay(), least);
    }

    #[test]
    fn what_waits_is_bounded_but_a_single_request_may_be_large() {
        let quota = ten_a_second();
        let large = quota.park(64 << 20).unwrap();
        assert!(quota.park(1).is_none());
        drop(large);
        let _half = quota.park(PARKED_BYTES / 2).unwrap();
        let _other = quota.park(PARKED_BYTES / 2).unwrap();
        assert!(quota.park(1).is_none());
    }
}
