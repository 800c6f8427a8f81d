//! Opens a sink at the start of a tenure.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::choice::is_other;
use super::reports::Reports;
use crate::plugin::{Candidate, Choice, Report, WatchFor};
use sluice_delivery::ActiveSink;
use sluice_types::backoff::Backoff;
use sluice_types::outcome::{Failure, WriteError};

/// How long one sink is tried before the last good one is tried instead, and
/// after that one the lead is left to another node.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// A sink that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) candidate: Arc<Candidate>,
    pub(super) sink: ActiveSink,
    /// What to watch it for.
    pub(super) watch: WatchFor,
    /// Whether it did not open at first.
    pub(super) has_failed: bool,
}

/// Opens the wanted sink, the last good one, or the last resort.
#[derive(Debug)]
pub(super) struct SinkOpener<'a> {
    pub(super) choice: watch::Receiver<Choice>,
    pub(super) reports: &'a Reports,
}

impl SinkOpener<'_> {
    /// Opens the wanted sink, or else the last good one or the last resort, each
    /// within [`OPEN_LIMIT`]; `None` if none opens. Starts again when another sink
    /// is wanted meanwhile.
    pub(super) async fn open(mut self) -> Option<Opened> {
        loop {
            let choice = self.choice.borrow_and_update().clone();
            self.reports.send(Report::Opening);
            let mut wanted = self.choice.clone();
            let opened = tokio::select! {
                opened = self.open_first(&choice) => opened,
                () = is_other(&mut wanted, &choice.wanted) => continue,
            };
            return opened;
        }
    }

    async fn open_first(&self, choice: &Choice) -> Option<Opened> {
        let Choice { wanted, watch, .. } = choice;
        let good = choice.good.iter();
        let good = good.filter(|good| !Arc::ptr_eq(good, wanted));
        let last_resort = choice.last_resort.iter();
        let in_turn = std::iter::once((wanted, *watch))
            .chain(good.map(|good| (good, WatchFor::Nothing)))
            .chain(last_resort.map(|last| (last, WatchFor::LastResort)));
        for (candidate, watch) in in_turn {
            if let Some((sink, has_failed)) = self.open_within_limit(candidate).await {
                return Some(Opened {
                    candidate: Arc::clone(candidate),
                    sink,
                    watch,
                    has_failed,
                });
            }
        }
        None
    }

    /// Returns as well whether it did not open at first.
    async fn open_within_limit(&self, candidate: &Arc<Candidate>) -> Option<(ActiveSink, bool)> {
        let plugin = &candidate.identity().source;
        let deadline = Instant::now() + OPEN_LIMIT;
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        let mut has_failed = false;
        loop {
            let opening = tokio::time::timeout_at(deadline, candidate.sink.open());
            let (error, is_final, is_own_fault, after) = match opening.await {
                Ok(Ok(instance)) => {
                    let sink = ActiveSink::new(Arc::clone(&candidate.sink), instance);
                    return Some((sink, has_failed));
                }
                Ok(Err(error)) => (
                    error.to_string(),
                    is_final(&error),
                    is_own_fault(&error),
                    error.retry_after(),
                ),
                Err(_) => {
                    let late = format!("open did not return within {} s", OPEN_LIMIT.as_secs());
                    (late, true, false, None)
                }
            };
            has_failed = true;
            let is_final = is_final || Instant::now() >= deadline;
            self.reports.send(Report::Failed {
                candidate: Arc::clone(candidate),
                error: error.clone(),
                retrying: !is_final,
                is_own_fault,
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

/// Whether a sink that answered `open` like this is at fault, and not its
/// destination or this node.
pub(super) const fn is_own_fault(error: &WriteError) -> bool {
    match error {
        WriteError::Failed(failure) => matches!(failure, Failure::Permanent(_)),
        WriteError::Broken(broken) => broken.suspects_records(),
    }
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
        let opened = opener.open().await?;
        Some(opened.candidate.identity().source.clone())
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
    async fn a_sink_that_was_taken_back_is_the_last_resort() {
        let rig = Rig::new(|a| a.opens([Permanent]));
        let (a, bad) = (rig.choice.borrow().wanted.clone(), rig.sink("bad", |b| b));
        rig.choice.send_modify(|choice| {
            choice.good = Some(a);
            choice.last_resort = Some(bad);
        });
        assert_eq!(open(&rig).await.as_deref(), Some("bad"));
        assert_eq!(rig.log(), ["a open", "bad open"]);
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
