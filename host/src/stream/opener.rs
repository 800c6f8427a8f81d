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
                Ok(Err(error)) => (error.to_string(), is_final(&error), retry_after(&error)),
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

/// The least time that the sink asks to wait before the next attempt.
pub(super) const fn retry_after(error: &WriteError) -> Option<Duration> {
    match error {
        WriteError::Failed(Failure::Retryable { after, .. }) => *after,
        _ => None,
    }
}
