//! Swaps the sink of a running tenure: opens the new one while the old one
//! writes, hands it to the dispatcher, and closes the old one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::plugin::{Candidate, Choice, Report};
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{ActiveSink, SinkSwap};
use sluice_types::backoff::Backoff;
use sluice_types::error_chain::chain;
use sluice_types::outcome::{Failure, WriteError};
use sluice_types::sink::SinkInstance;

/// The time for the old sink's `close`.
const CLOSING: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Swaps sinks for as long as it runs.
pub(crate) struct Swaps<'a> {
    /// The sink that takes the records.
    pub(crate) running: Arc<Candidate>,
    /// The sinks that could.
    pub(crate) choice: watch::Receiver<Choice>,
    /// To the dispatcher.
    pub(crate) swaps: mpsc::Sender<SinkSwap>,
    /// What becomes of them.
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    /// Counts the swaps.
    pub(crate) metrics: Arc<Metrics>,
    /// The sinks before that are being closed.
    pub(crate) closing: &'a mut JoinSet<()>,
}

impl Swaps<'_> {
    /// Never ends.
    pub(crate) async fn run(mut self) {
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
                Some(instance) => {
                    if let Some(old) = self.hand_over(&wanted, instance).await {
                        self.closing.spawn(close(old));
                    }
                }
                None => refused = Some(wanted),
            }
            while self.closing.try_join_next().is_some() {}
        }
    }

    /// Tries until it is open; `None` if it never will.
    async fn open(&self, candidate: &Arc<Candidate>) -> Option<Box<dyn SinkInstance>> {
        let plugin = &candidate.identity().source;
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            // In a task of its own: a sink that computes must not hold up the
            // old one. Ended with this one, should that end first.
            let mut opening = JoinSet::new();
            let sink = Arc::clone(&candidate.sink);
            opening.spawn(async move { sink.open().await });
            let error = match opening.join_next().await {
                Some(Ok(Ok(instance))) => return Some(instance),
                Some(Ok(Err(error))) => error,
                Some(Err(error)) => {
                    tracing::error!(error = chain(&error), "opening the sink ended unexpectedly");
                    return None;
                }
                None => return None,
            };
            let is_for_good = is_for_good(&error);
            self.report(Report::Failed {
                candidate: Arc::clone(candidate),
                error: error.to_string(),
                retrying: !is_for_good,
            });
            if is_for_good {
                tracing::error!(plugin, %error, "the sink can not be opened; the one before goes on");
                return None;
            }
            tracing::warn!(plugin, %error, "the sink did not open; the one before goes on meanwhile");
            tokio::time::sleep(backoff.next(wait_of(&error)).min(LONGEST_BACKOFF)).await;
        }
    }

    /// Gives the instance to the dispatcher, and gets the old one.
    async fn hand_over(
        &mut self,
        wanted: &Arc<Candidate>,
        instance: Box<dyn SinkInstance>,
    ) -> Option<ActiveSink> {
        let (old_in, old) = oneshot::channel();
        let handover = SinkSwap {
            sink: ActiveSink::new(Arc::clone(&wanted.sink), instance),
            old: old_in,
        };
        // The tenure is over if nobody takes it.
        self.swaps.send(handover).await.ok()?;
        let old = old.await.ok()?;
        self.running = Arc::clone(wanted);
        self.metrics.sink_swaps.inc();
        tracing::info!(
            plugin = wanted.identity().source,
            sha256 = wanted.identity().sha256,
            "the sink has taken over"
        );
        self.report(Report::Running(Arc::clone(wanted)));
        Some(old)
    }

    fn report(&self, report: Report) {
        if self.reports.send(report).is_err() {
            tracing::error!("the task that keeps the sinks has ended");
        }
    }
}

async fn close(old: ActiveSink) {
    if tokio::time::timeout(CLOSING, old.close()).await.is_err() {
        tracing::warn!("the sink before did not close in time");
    }
}

/// Waits until another sink is wanted.
pub(crate) async fn is_other(choice: &mut watch::Receiver<Choice>, wanted: &Arc<Candidate>) {
    let is_other = |choice: &Choice| !Arc::ptr_eq(&choice.wanted, wanted);
    if choice.wait_for(is_other).await.is_err() {
        // Nobody will want another.
        std::future::pending::<()>().await;
    }
}

/// Whether a sink that answered `open` so will never open.
pub(crate) const fn is_for_good(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Failed(Failure::Permanent(_) | Failure::Fenced(_))
    )
}

/// How long the sink wants to be left alone.
pub(crate) const fn wait_of(error: &WriteError) -> Option<Duration> {
    match error {
        WriteError::Failed(Failure::Retryable { after, .. }) => *after,
        _ => None,
    }
}
