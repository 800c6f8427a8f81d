//! A token bucket that can go into debt.
//!
//! How many records a request has is known only once it is decoded, and a request
//! is not taken in part. So a request that comes while the bucket holds anything is
//! taken whole, and the ones behind it wait until the debt is paid. Over time no
//! more than the rate passes.

use std::time::Duration;

use tokio::time::Instant;

/// Fills at a rate, up to what one second brings.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    /// Below zero, a debt.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full one. A rate of 0 is taken as 1.
    pub(crate) fn new(per_second: u64) -> Self {
        let per_second = as_float(per_second.max(1));
        Self {
            per_second,
            level: per_second,
            at: Instant::now(),
        }
    }

    /// How long until it holds something; zero if it does.
    pub(crate) fn wait(&mut self) -> Duration {
        self.fill();
        match self.level > 0.0 {
            true => Duration::ZERO,
            // At least a nanosecond, so that the wait is not over before the debt.
            false => {
                Duration::from_secs_f64(-self.level / self.per_second) + Duration::from_nanos(1)
            }
        }
    }

    /// Takes so much out of it, more than it holds if need be.
    pub(crate) fn take(&mut self, amount: usize) {
        self.fill();
        self.level -= as_float(u64::try_from(amount).unwrap_or(u64::MAX));
    }

    /// Undoes [`Self::take`].
    pub(crate) fn give_back(&mut self, amount: usize) {
        self.fill();
        let amount = as_float(u64::try_from(amount).unwrap_or(u64::MAX));
        self.level = (self.level + amount).min(self.per_second);
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.per_second);
        self.at = now;
    }
}

/// Amounts are far below 2^53, where floats stop counting by ones.
#[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53")]
const fn as_float(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn what_is_more_than_there_is_must_be_waited_for_by_the_next() {
        let mut bucket = Bucket::new(100);
        assert_eq!(bucket.wait(), Duration::ZERO);
        bucket.take(350);
        let wait = bucket.wait();
        assert!(wait >= Duration::from_millis(2500), "{wait:?}");
        assert!(wait < Duration::from_millis(2501), "{wait:?}");
        advance(Duration::from_millis(2400)).await;
        assert!(bucket.wait() > Duration::ZERO);
        advance(Duration::from_millis(101)).await;
        assert_eq!(bucket.wait(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn over_time_no_more_than_the_rate_passes() {
        let mut bucket = Bucket::new(50);
        let mut taken = 0;
        for _ in 0..10_000 {
            if bucket.wait().is_zero() {
                bucket.take(7);
                taken += 7;
            }
            advance(Duration::from_millis(1)).await;
        }
        // Ten seconds, what was there at the start, and one request of debt.
        assert!((500..=500 + 50 + 7).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_there_again_and_no_more_than_it_holds() {
        let mut bucket = Bucket::new(10);
        bucket.take(30);
        bucket.give_back(30);
        assert_eq!(bucket.wait(), Duration::ZERO);
        bucket.give_back(1000);
        bucket.take(10);
        assert!(bucket.wait() > Duration::ZERO);
    }
}
