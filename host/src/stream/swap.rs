//! Swaps the sink of a running tenure: opens the new one while the old one
//! writes, gives it to the dispatcher, and closes the old one.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::choice::is_other;
use super::opener::{is_final, is_own_fault};
use super::reports::Reports;
use super::watching::Watched;
use crate::plugin::{Candidate, Choice, Report, WatchFor};
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{ActiveSink, SinkSwap, Verdict};
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
    /// What comes out of watching it.
    pub(super) watched: Watched,
    pub(super) choice: watch::Receiver<Choice>,
    /// To the dispatcher.
    pub(super) swaps: mpsc::Sender<SinkSwap>,
    pub(super) reports: &'a Reports,
    pub(super) metrics: &'a StreamMetrics,
    /// The earlier sinks that are being closed.
    pub(super) closing: &'a mut JoinSet<()>,
}

/// A sink that is open.
struct Opened {
    instance: Box<dyn SinkInstance>,
    /// Whether it did not open at first.
    has_failed: bool,
}

/// How the opening of a wanted sink ends.
enum Opening {
    Done(Opened),
    /// Another sink is wanted by now.
    NotWanted,
    /// It will never open.
    Refused,
}

impl SinkSwapper<'_> {
    /// Runs until it is dropped.
    pub(super) async fn run(mut self) -> Infallible {
        let mut refused: Option<Arc<Candidate>> = None;
        loop {
            let Choice { wanted, watch, .. } = self.choice.borrow_and_update().clone();
            let is_refused = refused.as_ref().is_some_and(|r| Arc::ptr_eq(r, &wanted));
            if is_refused || Arc::ptr_eq(&wanted, &self.running) {
                tokio::select! {
                    () = is_other(&mut self.choice, &wanted) => {}
                    verdict = self.watched.verdict() => self.judged(verdict),
                }
                continue;
            }
            match self.open(&wanted).await {
                Opening::Done(opened) => self.swap(&wanted, watch, opened).await,
                Opening::NotWanted => continue,
                Opening::Refused => refused = Some(wanted),
            }
            while self.closing.try_join_next().is_some() {}
        }
    }

    /// The running sink has got its verdict.
    fn judged(&self, verdict: Verdict) {
        if matches!(verdict, Verdict::Failed(_) | Verdict::Doubted(_)) {
            self.metrics.sink_rollbacks.inc();
        }
        let running = Arc::clone(&self.running);
        self.reports.send(Report::Judged(running, verdict));
    }

    /// Tries until the sink is open or not wanted any more. The one that runs may
    /// get its verdict meanwhile.
    async fn open(&mut self, wanted: &Arc<Candidate>) -> Opening {
        let mut choice = self.choice.clone();
        let mut opening = pin!(open(self.reports, wanted));
        loop {
            tokio::select! {
                opened = &mut opening => return opened.map_or(Opening::Refused, Opening::Done),
                () = is_other(&mut choice, wanted) => return Opening::NotWanted,
                verdict = self.watched.verdict() => self.judged(verdict),
            }
        }
    }

    /// Gives the instance to the dispatcher, and closes the old one.
    async fn swap(&mut self, wanted: &Arc<Candidate>, watch_for: WatchFor, opened: Opened) {
        let (old_in, old) = oneshot::channel();
        let (watch, watched) = Watched::begin(watch_for, opened.has_failed);
        let swap = SinkSwap {
            sink: ActiveSink::new(Arc::clone(&wanted.sink), opened.instance),
            watch,
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
        self.watched = watched;
        self.metrics.sink_swaps.inc();
        tracing::info!(
            plugin = wanted.identity().source,
            sha256 = wanted.identity().sha256,
            "the new sink takes the records"
        );
        self.reports.running(wanted, watch_for);
        self.closing.spawn(close(old));
    }
}

/// Tries until the sink is open; `None` if it never will.
async fn open(reports: &Reports, candidate: &Arc<Candidate>) -> Option<Opened> {
    let plugin = &candidate.identity().source;
    let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
    let mut has_failed = false;
    loop {
        let error = match open_in_task(candidate).await? {
            Ok(instance) => {
                return Some(Opened {
                    instance,
                    has_failed,
                });
            }
            Err(error) => error,
        };
        has_failed = true;
        let is_final = is_final(&error);
        reports.send(Report::Failed {
            candidate: Arc::clone(candidate),
            error: error.to_string(),
            retrying: !is_final,
            is_own_fault: is_own_fault(&error),
        });
        if is_final {
            tracing::error!(plugin, %error, "the sink cannot be opened; keeping the old one");
            return None;
        }
        tracing::warn!(plugin, %error, "the sink did not open; keeping the old one meanwhile");
        tokio::time::sleep(backoff.next(error.retry_after()).min(LONGEST_BACKOFF)).await;
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
mod tests;
