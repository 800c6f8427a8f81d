//! Swaps the sink of a running tenure: opens the new one while the old one
//! writes, gives it to the dispatcher, and closes the old one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::choice::is_other;
use super::opener::is_final;
use super::reports::Reports;
use crate::plugin::{Candidate, Choice, Report};
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{ActiveSink, SinkSwap};
use sluice_types::backoff::Backoff;
use sluice_types::error_chain::chain;
use sluice_types::outcome::WriteError;
use sluice_types::sink::SinkInstance;

/// The time for the old sink's `close`.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Swaps the sink of one tenure whenever another one is wanted.
#[derive(Debug)]
pub(super) struct SinkSwapper<'a> {
    /// The sink that takes the records.
    pub(super) running: Arc<Candidate>,
    pub(super) choice: watch::Receiver<Choice>,
    /// To the dispatcher.
    pub(super) swaps: mpsc::Sender<SinkSwap>,
    pub(super) reports: &'a Reports,
    pub(super) metrics: &'a StreamMetrics,
    /// The earlier sinks that are being closed.
    pub(super) closing: &'a mut JoinSet<()>,
}

impl SinkSwapper<'_> {
    /// Runs until it is dropped.
    pub(super) async fn run(mut self) -> Infallible {
        let mut refused: Option<Arc<Candidate>> = None;
        loop {
            let wanted = Arc::clone(&self.choice.borrow_and_update().wanted);
            let is_refused = refused.as_ref().is_some_and(|r| Arc::ptr_eq(r, &wanted));
            if is_refused || Arc::ptr_eq(&wanted, &self.running) {
                is_other(&mut self.choice, &wanted).await;
                continue;
            }
            let mut choice = self.choice.clone();
            let opened = tokio::select! {
                opened = self.open(&wanted) => opened,
                () = is_other(&mut choice, &wanted) => continue,
            };
            match opened {
                Some(instance) => self.swap(&wanted, instance).await,
                None => refused = Some(wanted),
            }
            while self.closing.try_join_next().is_some() {}
        }
    }

    /// Tries until the sink is open; `None` if it never will.
    async fn open(&self, candidate: &Arc<Candidate>) -> Option<Box<dyn SinkInstance>> {
        let plugin = &candidate.identity().source;
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            let error = match open_in_task(candidate).await? {
                Ok(instance) => return Some(instance),
                Err(error) => error,
            };
            let is_final = is_final(&error);
            self.reports.send(Report::Failed {
                candidate: Arc::clone(candidate),
                error: error.to_string(),
                retrying: !is_final,
            });
            if is_final {
                tracing::error!(plugin, %error, "the sink cannot be opened; keeping the old one");
                return None;
            }
            tracing::warn!(plugin, %error, "the sink did not open; keeping the old one meanwhile");
            tokio::time::sleep(backoff.next(error.retry_after()).min(LONGEST_BACKOFF)).await;
        }
    }

    /// Gives the instance to the dispatcher, and closes the old one.
    async fn swap(&mut self, wanted: &Arc<Candidate>, instance: Box<dyn SinkInstance>) {
        let (old_in, old) = oneshot::channel();
        let swap = SinkSwap {
            sink: ActiveSink::new(Arc::clone(&wanted.sink), instance),
            old: old_in,
        };
        // If the dispatcher does not take it, the tenure is over.
        if self.swaps.send(swap).await.is_err() {
            return;
        }
        let Ok(old) = old.await else {
            return;
        };
        self.running = Arc::clone(wanted);
        self.metrics.sink_swaps.inc();
        tracing::info!(
            plugin = wanted.identity().source,
            sha256 = wanted.identity().sha256,
            "the new sink takes the records"
        );
        self.reports.send(Report::Running(Arc::clone(wanted)));
        self.closing.spawn(close(old));
    }
}

/// Opens a sink in a task of its own, so that one that computes does not hold
/// up the old one. The task ends when this future is dropped; `None` if it
/// panicked.
async fn open_in_task(candidate: &Candidate) -> Option<Result<Box<dyn SinkInstance>, WriteError>> {
    let mut opening = JoinSet::new();
    let sink = Arc::clone(&candidate.sink);
    opening.spawn(async move { sink.open().await });
    opening
        .join_next()
        .await?
        .inspect_err(|error| {
            tracing::error!(error = chain(error), "opening the sink ended unexpectedly");
        })
        .ok()
}

async fn close(old: ActiveSink) {
    if tokio::time::timeout(CLOSE_LIMIT, old.close())
        .await
        .is_err()
    {
        tracing::warn!("the old sink did not close in time");
    }
}

#[cfg(test)]
mod tests {
    use crate::stream::fakes::Reply::{self, Hangs, Ok, Panics, Permanent, Retryable};
    use crate::stream::rig::{Rig, long, shortly};
    use sluice_delivery::Outcome;

    async fn is_acknowledged(rig: &Rig, body: &'static str) {
        let outcome = rig.submit(body).unwrap().await;
        assert!(
            matches!(outcome, Outcome::Acknowledged { .. }),
            "{outcome:?}"
        );
    }

    /// Wants `b`, whose opening ends like this, and a long time later `c`.
    async fn assert_b_is_opened_once_and_c_takes_over(opening: Reply) {
        let rig = Rig::new(|a| a);
        let (b, c) = (rig.sink("b", |b| b.opens([opening])), rig.sink("c", |c| c));
        rig.run(async {
            rig.want(&b);
            long().await;
            is_acknowledged(&rig, "1").await;
            rig.want(&c);
            shortly().await;
            rig.stop();
        })
        .await;
        let log = rig.log().join(", ");
        let expected = "a open, b open, a write 1 #1, c open, a close, c close";
        assert_eq!(log, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_new_sink_takes_the_records_and_the_old_one_is_closed() {
        let mut rig = Rig::new(|a| a);
        let b = rig.sink("b", |b| b);
        rig.run(async {
            is_acknowledged(&rig, "1").await;
            rig.want(&b);
            shortly().await;
            is_acknowledged(&rig, "2").await;
            rig.stop();
        })
        .await;
        let log = rig.log().join(", ");
        let expected = "a open, a write 1 #1, b open, a close, b write 2 #1, b close";
        assert_eq!(log, expected);
        assert_eq!(rig.parts.metrics.sink_swaps.get(), 1);
        assert_eq!(rig.reports(), ["opening", "a runs", "b runs", "standby"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_old_sink_does_not_confirm_is_offered_to_the_new_one() {
        let rig = Rig::new(|a| a.writes([Hangs]));
        let b = rig.sink("b", |b| b);
        rig.run(async {
            let receipt = rig.submit("1").unwrap();
            shortly().await;
            rig.want(&b);
            assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
            rig.stop();
        })
        .await;
        let log = rig.log().join(", ");
        // A sink whose call was cancelled is gone, and is not closed.
        assert_eq!(log, "a open, a write 1 #1, b open, b write 1 #2, b close");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_refuses_for_good_is_not_tried_again() {
        for opening in [Permanent, Panics] {
            assert_b_is_opened_once_and_c_takes_over(opening).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_asks_for_it_is_opened_later() {
        let mut rig = Rig::new(|a| a);
        let b = rig.sink("b", |b| b.opens([Retryable, Retryable, Ok]));
        rig.run(async {
            rig.want(&b);
            shortly().await;
            is_acknowledged(&rig, "1").await;
            long().await;
            is_acknowledged(&rig, "2").await;
            rig.stop();
        })
        .await;
        let log = rig.log().join(", ");
        let expected = "a open, b open, a write 1 #1, b open, b open, a close, b write 2 #1, \
                        b close";
        assert_eq!(log, expected);
        let again = "b is tried again";
        let expected = ["opening", "a runs", again, again, "b runs", "standby"];
        assert_eq!(rig.reports(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_does_not_open_gives_way_to_another_wanted_one() {
        assert_b_is_opened_once_and_c_takes_over(Hangs).await;
    }
}
