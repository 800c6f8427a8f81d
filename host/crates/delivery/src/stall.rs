//! Whether the delivery of a stream makes progress, and why not.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use sluice_types::clock::timestamp;

/// A delivery that makes no progress: attempts failed, and none has succeeded
/// since.
#[derive(Clone, Debug)]
pub struct Stall {
    /// When the first of these attempts failed, in RFC 3339.
    pub since: String,
    /// What kept the last of them from succeeding.
    pub reason: String,
    began: Instant,
    next_attempt: Option<Instant>,
}

impl Stall {
    fn now(reason: String) -> Self {
        Self {
            since: timestamp(),
            reason,
            began: Instant::now(),
            next_attempt: None,
        }
    }

    /// How long it has lasted.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long until the next attempt; `None` while one is under way.
    #[must_use]
    pub fn until_next_attempt(&self) -> Option<Duration> {
        let next = self.next_attempt?;
        Some(next.saturating_duration_since(Instant::now()))
    }
}

/// Publishes how the delivery of one tenure goes. Dropping this ends the stall.
#[derive(Debug)]
pub(crate) struct StallReporter {
    published: watch::Sender<Option<Stall>>,
    /// Known here too, so that a delivery that goes well publishes nothing.
    is_stalled: bool,
}

impl StallReporter {
    pub(crate) const fn new(published: watch::Sender<Option<Stall>>) -> Self {
        Self {
            published,
            is_stalled: false,
        }
    }

    /// Whether attempts have failed and none has succeeded since.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// An attempt failed for this reason.
    pub(crate) fn failed(&mut self, reason: String) {
        self.is_stalled = true;
        self.published.send_modify(|stall| match stall {
            Some(stall) => stall.reason = reason,
            None => *stall = Some(Stall::now(reason)),
        });
    }

    /// The next attempt is made at this time; `None` says that it is under way.
    pub(crate) fn next_attempt(&self, at: Option<Instant>) {
        if self.is_stalled {
            self.published.send_modify(|stall| {
                if let Some(stall) = stall {
                    stall.next_attempt = at;
                }
            });
        }
    }

    /// Some record has got its outcome, or none waits any more.
    pub(crate) fn ended(&mut self) {
        if std::mem::take(&mut self.is_stalled) {
            self.published.send_replace(None);
        }
    }
}

impl Drop for StallReporter {
    fn drop(&mut self) {
        self.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stall_lasts_from_the_first_failure_to_the_first_success() {
        let (published, shown) = watch::channel(None);
        let current = || shown.borrow().clone();
        let mut reporter = StallReporter::new(published);
        reporter.next_attempt(Some(Instant::now()));
        assert!(current().is_none(), "nothing has failed");
        reporter.failed("away".to_owned());
        let first = current().unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
        reporter.failed("full".to_owned());
        reporter.next_attempt(Some(Instant::now() + Duration::from_secs(2)));
        let second = current().unwrap();
        assert_eq!(
            (&second.since, second.reason.as_str()),
            (&first.since, "full")
        );
        assert_eq!(second.duration(), Duration::from_secs(3));
        assert_eq!(second.until_next_attempt(), Some(Duration::from_secs(2)));
        reporter.next_attempt(None);
        assert_eq!(current().unwrap().until_next_attempt(), None);
        reporter.ended();
        assert!(current().is_none());
        reporter.failed("away".to_owned());
        assert_eq!(current().unwrap().duration(), Duration::ZERO);
        drop(reporter);
        assert!(current().is_none(), "the tenure is over");
    }
}
