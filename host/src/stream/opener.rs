//! Opens a sink at the start of a tenure.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::choice::is_other;
use super::reports::Reports;
use crate::plugin::{Candidate, Choice, Report};
use sluice_delivery::ActiveSink;
use sluice_types::backoff::Backoff;
use sluice_types::outcome::{Failure, WriteError};

/// How long one sink is tried before the last good one is tried instead, and
/// after that one the lead is left to another node.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Opens the wanted sink or the last good one.
#[derive(Debug)]
pub(super) struct SinkOpener<'a> {
    pub(super) choice: watch::Receiver<Choice>,
    pub(super) reports: &'a Reports,
}

impl SinkOpener<'_> {
    /// Opens the wanted sink, or else the last good one, each within
    /// [`OPEN_LIMIT`]; `None` if neither opens. Starts again when another sink
    /// is wanted meanwhile.
    pub(super) async fn open(mut self) -> Option<(Arc<Candidate>, ActiveSink)> {
        loop {
            let choice = self.choice.borrow_and_update().clone();
            self.reports.send(Report::Opening);
            let good = choice
                .good
                .filter(|good| !Arc::ptr_eq(good, &choice.wanted));
            let mut wanted = self.choice.clone();
            let opened = tokio::select! {
                opened = self.open_first([Some(&choice.wanted), good.as_ref()]) => opened,
                () = is_other(&mut wanted, &choice.wanted) => continue,
            };
            return opened;
        }
    }

    async fn open_first(
        &self,
        candidates: [Option<&Arc<Candidate>>; 2],
    ) -> Option<(Arc<Candidate>, ActiveSink)> {
        for candidate in candidates.into_iter().flatten() {
            if let Some(sink) = self.open_within_limit(candidate).await {
                return Some((Arc::clone(candidate), sink));
            }
        }
        None
    }

    async fn open_within_limit(&self, candidate: &Arc<Candidate>) -> Option<ActiveSink> {
        let plugin = &candidate.identity().source;
        let deadline = Instant::now() + OPEN_LIMIT;
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            let opening = tokio::time::timeout_at(deadline, candidate.sink.open());
            let (error, is_final, after) = match opening.await {
                Ok(Ok(instance)) => {
                    return Some(ActiveSink::new(Arc::clone(&candidate.sink), instance));
                }
                Ok(Err(error)) => (error.to_string(), is_final(&error), error.retry_after()),
                Err(_) => {
                    let late = format!("open did not return within {} s", OPEN_LIMIT.as_secs());
                    (late, true, None)
                }
            };
            let is_final = is_final || Instant::now() >= deadline;
            self.reports.send(Report::Failed {
                candidate: Arc::clone(candidate),
                error: error.clone(),
                retrying: !is_final,
            });
            if is_final {
                tracing::error!(plugin, error, "the sink cannot be opened");
                return None;
            }
            tracing::warn!(plugin, error, "the sink did not open; trying again");
            tokio::time::sleep_until((Instant::now() + backoff.next(after)).min(deadline)).await;
        }
    }
}

/// Whether a sink that answered `open` like this will never open.
pub(super) const fn is_final(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Failed(Failure::Permanent(_) | Failure::Fenced(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fakes::Reply::{Hangs, Ok, Permanent, Retryable};
    use crate::stream::rig::{Rig, shortly};

    async fn open(rig: &Rig) -> Option<String> {
        let opener = SinkOpener {
            choice: rig.choice.subscribe(),
            reports: &rig.parts.reports,
        };
        let (candidate, _) = opener.open().await?;
        Some(candidate.identity().source.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn the_wanted_sink_comes_first() {
        let mut rig = Rig::new(|a| a).with_good(|good| good);
        assert_eq!(open(&rig).await.as_deref(), Some("a"));
        assert_eq!(rig.log(), ["a open"]);
        assert_eq!(rig.reports(), ["opening"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_sink_replaces_one_that_refuses() {
        let mut rig = Rig::new(|a| a.opens([Permanent])).with_good(|good| good);
        let started = Instant::now();
        assert_eq!(open(&rig).await.as_deref(), Some("good"));
        assert_eq!(rig.log(), ["a open", "good open"]);
        assert_eq!(rig.reports(), ["opening", "a failed"]);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_asks_for_it_is_tried_again() {
        let mut rig = Rig::new(|a| a.opens([Retryable, Retryable, Ok])).with_good(|good| good);
        assert_eq!(open(&rig).await.as_deref(), Some("a"));
        let again = "a is tried again";
        assert_eq!(rig.reports(), ["opening", again, again]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_is_tried_for_so_long_only() {
        for reply in [Retryable, Hangs] {
            let mut rig = Rig::new(|a| a.opens([reply])).with_good(|good| good);
            let started = Instant::now();
            assert_eq!(open(&rig).await.as_deref(), Some("good"));
            assert_eq!(started.elapsed(), OPEN_LIMIT);
            assert_eq!(rig.reports().last().map(String::as_str), Some("a failed"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_sink_opens() {
        let rig = Rig::new(|a| a.opens([Hangs])).with_good(|good| good.opens([Permanent]));
        let started = Instant::now();
        assert_eq!(open(&rig).await, None);
        assert_eq!(started.elapsed(), OPEN_LIMIT);
        assert_eq!(rig.log(), ["a open", "good open"]);
    }

    #[tokio::test(start_paused = true)]
    async fn another_wanted_sink_is_opened_at_once() {
        let rig = Rig::new(|a| a.opens([Hangs]));
        let other = rig.sink("b", |b| b);
        let started = Instant::now();
        let wanted = async {
            shortly().await;
            rig.want(&other);
        };
        let (opened, ()) = tokio::join!(open(&rig), wanted);
        assert_eq!(opened.as_deref(), Some("b"));
        assert!(started.elapsed() < OPEN_LIMIT);
    }
}
