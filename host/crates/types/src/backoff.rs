//! How long to wait before trying again.

use std::time::Duration;

use crate::retry_after::RetryAfter;

/// Doubles from `first` to `most`, each wait drawn between a half of that and
/// the whole, so that nodes do not try in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with `first`, and never waits longer than `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    /// As it is after this many waits.
    #[must_use]
    pub fn after(mut self, waits: u32) -> Self {
        let grown = self.first.saturating_mul(2_u32.saturating_pow(waits));
        self.next = grown.min(self.most);
        self
    }

    /// The next wait, at least `least`.
    pub fn next(&mut self, least: Option<RetryAfter>) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        let drawn = whole.mul_f64(rand::random_range(0.5..=1.0));
        least.map_or(drawn, |least| drawn.max(least.into()))
    }

    /// About what the next wait will be.
    #[must_use]
    pub const fn peek(&self) -> Duration {
        self.next
    }

    /// Starts again with the first wait, after a success.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_its_bounds_and_heeds_the_least() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(40));
        for whole in [10, 20, 40, 40] {
            let wait = backoff.next(None);
            assert!(wait >= Duration::from_millis(whole / 2), "{wait:?}");
            assert!(wait <= Duration::from_millis(whole), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_millis(10));
        for (waits, whole) in [(0, 10), (1, 20), (2, 40), (u32::MAX, 40)] {
            let after = backoff.clone().after(waits);
            assert_eq!(after.peek(), Duration::from_millis(whole));
        }
        assert_eq!(
            backoff.next(Some(RetryAfter::at_most(Duration::from_secs(3)))),
            Duration::from_secs(3)
        );
    }
}
