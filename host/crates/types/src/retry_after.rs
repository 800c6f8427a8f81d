//! How long a sink may ask to be left alone.

use std::time::Duration;

/// The least time until the next attempt, as a sink asks for it. It is at most
/// [`MAX`](Self::MAX) whatever the sink asks for, so that no answer of a sink
/// can stop the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(Duration);

impl RetryAfter {
    /// The longest time that a sink is left alone at its own request.
    pub const MAX: Duration = Duration::from_secs(60);

    /// This time, or [`MAX`](Self::MAX) if that is shorter.
    #[must_use]
    pub fn at_most(asked: Duration) -> Self {
        Self(asked.min(Self::MAX))
    }
}

impl From<RetryAfter> for Duration {
    fn from(after: RetryAfter) -> Self {
        after.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_longer_than_the_bound() {
        for (asked, given) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_millis(20), Duration::from_millis(20)),
            (RetryAfter::MAX, RetryAfter::MAX),
            (RetryAfter::MAX + Duration::from_nanos(1), RetryAfter::MAX),
            (Duration::from_millis(u64::MAX), RetryAfter::MAX),
            (Duration::MAX, RetryAfter::MAX),
        ] {
            assert_eq!(Duration::from(RetryAfter::at_most(asked)), given);
        }
    }
}
