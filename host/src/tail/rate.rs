//! How much is done per second.

use std::time::Duration;

use tokio::time::Instant;

/// Admits so many of something per second. What is not used in a second is used up
/// at once later, but no more than that.
#[derive(Debug)]
pub(super) struct Rate {
    /// What one of them takes.
    cost: Duration,
    /// The time that is not used up, at most a second.
    credit: Duration,
    /// Until when it is counted.
    counted: Instant,
}

/// The most time that is kept.
const CREDIT_MAX: Duration = Duration::from_secs(1);

impl Rate {
    pub(super) fn per_second(most: u32) -> Self {
        Self {
            cost: CREDIT_MAX / most.max(1),
            credit: CREDIT_MAX,
            counted: Instant::now(),
        }
    }

    /// Counts the time until now.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        self.credit = (self.credit + (now - self.counted)).min(CREDIT_MAX);
        self.counted = now;
    }

    /// Takes one, if it is admitted.
    pub(super) fn take(&mut self) -> bool {
        let left = self.credit.checked_sub(self.cost);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &mut Rate) -> usize {
        rate.advance();
        (0..10_000).take_while(|_| rate.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_is_saved_up_and_no_more() {
        let mut rate = Rate::per_second(100);
        assert_eq!(taken(&mut rate), 100);
        assert_eq!(taken(&mut rate), 0);
        tokio::time::advance(Duration::from_millis(105)).await;
        assert_eq!(taken(&mut rate), 10);
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(taken(&mut rate), 1, "halves are not lost");
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(&mut rate), 100);
    }
}
