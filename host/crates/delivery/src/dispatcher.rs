//! The one loop through which every record passes on its way to the sink.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::active_sink::ActiveSink;
use crate::batch::Batch;
use crate::batch_span::StreamTracer;
use crate::counting::to_u64;
use crate::delivery::{Delivery, Ended};
use crate::isolation::{Isolation, Piece};
use crate::metrics::StreamMetrics;
use crate::probation::{Observed, Probation};
use crate::queue::Queue;
use crate::rejects::Rejects;
use crate::retries::{BACKOFF_MAX, BACKOFF_MIN, Retries};
use crate::sink_swap::SwapQueue;
use crate::sink_writer::{Pause, Readiness, SinkWriter, Written};
use crate::stall::StallReporter;
use crate::tail::{Fate, Tail};
use crate::trace::AckTrace;
use crate::watch::Watch;
use sluice_types::backoff::Backoff;
use sluice_types::excerpt::{REASON_CHARS, excerpt};
use sluice_types::lease::{Lease, Standing};
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::retry_after::RetryAfter;

mod beside;
mod ending;
#[cfg(test)]
mod fake_sink;
mod settling;
#[cfg(test)]
mod span_tests;
mod start;
#[cfg(test)]
mod tail_tests;
#[cfg(test)]
mod tenure;
#[cfg(test)]
mod tests;

/// How often a wait checks whether any producer still waits for the outcome.
const ABANDONED_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Takes batches from a tenure's queue to its sink.
#[derive(Debug)]
pub struct Dispatcher {
    queue: Arc<Queue>,
    lease: Arc<Lease>,
    writer: SinkWriter,
    rejects: Rejects,
    metrics: Arc<StreamMetrics>,
    trace: Option<Arc<AckTrace>>,
    tracer: Option<StreamTracer>,
    tail: Tail,
    isolation: Isolation,
    /// What failed while others were written beside it.
    retries: Retries,
    backoff: Backoff,
    stall: StallReporter,
    probation: Probation,
}

impl Dispatcher {
    /// Prepares the delivery, which [`run`](Self::run) starts.
    #[must_use]
    pub fn new(delivery: Delivery) -> Self {
        let Delivery {
            queue,
            lease,
            sink,
            watch,
            swaps,
            letters,
            metrics,
            trace,
            tracer,
            tail,
            stall,
        } = delivery;
        let swaps = SwapQueue::new(swaps);
        Self {
            writer: SinkWriter::new(sink, swaps, Arc::clone(&lease), Arc::clone(&metrics)),
            rejects: Rejects::new(letters, Arc::clone(&metrics), tail.clone()),
            probation: Probation::new(watch, queue.limits()),
            queue,
            lease,
            metrics,
            trace,
            tracer,
            tail,
            isolation: Isolation::default(),
            retries: Retries::default(),
            backoff: Backoff::new(BACKOFF_MIN, BACKOFF_MAX),
            stall: StallReporter::new(stall),
        }
    }

    /// Runs until the queue is drained or the tenure is over. The caller then
    /// fails the queue, for the requests that still wait in it.
    pub async fn run(&mut self) -> Ended {
        loop {
            self.switch();
            self.settle_refusals();
            if let Some(until) = self.probation.paused_until() {
                match self.writer.until_swap(until).await {
                    Pause::Over => {}
                    Pause::NoSwapComes => self.probation.end_pause(),
                    Pause::Revoked => return Ended::Revoked,
                }
                continue;
            }
            let places = self.writer.sink.concurrency();
            if places > 1 && self.isolation.is_clear() {
                match self.deliver_beside(places).await {
                    Some(ended) => return ended,
                    None => continue,
                }
            }
            if self.isolation.is_sink_in_doubt() {
                self.wait(None, None).await;
                self.isolation.probe();
            }
            let next = self.isolation.next().or_else(|| self.retries.take());
            let ended = match next {
                Some(piece) => self.deliver(piece).await,
                None => self.take().await,
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// The current sink, to be closed after [`run`](Self::run) has ended.
    /// Requests that were offered and not confirmed end as unknown.
    #[must_use]
    pub fn into_sink(self) -> ActiveSink {
        self.writer.sink
    }

    /// Replaces the sink if a swap waits. Nothing is known of the new one.
    fn switch(&mut self) {
        let Some(watch) = self.writer.switch() else {
            return;
        };
        self.isolation.clear_suspicion();
        self.retries.restart();
        self.backoff.reset();
        // What another sink has left shows more than what follows.
        if matches!(watch, Watch::SecondOpinion { .. }) {
            for piece in self.retries.take_all().rev() {
                self.isolation.retry(piece);
            }
        }
        for batch in self.probation.switched(watch).into_iter().rev() {
            self.isolation.retry(Piece::of(batch));
        }
    }

    /// Waits for something to deliver, and takes it.
    async fn take(&mut self) -> Option<Ended> {
        let is_suspicious = self.isolation.has_suspects();
        let probe_at = Instant::now() + self.backoff.peek();
        let settle_at = self.probation.due_at();
        if is_suspicious {
            self.stall.next_attempt(Some(probe_at));
        }
        let is_filled = tokio::select! {
            biased;
            () = self.writer.swaps.arrived() => return None,
            is_filled = self.queue.filled() => is_filled,
            () = self.lease.revoked() => return Some(Ended::Revoked),
            // What failed was given up, and nothing else waits.
            () = std::future::ready(()), if self.stall.is_stalled() && !is_suspicious => {
                self.stall.ended();
                return None;
            }
            () = tokio::time::sleep_until(settle_at.unwrap_or(probe_at)), if settle_at.is_some() => {
                return None;
            }
            // Nothing else comes that could show whether it was the sink.
            () = tokio::time::sleep_until(probe_at), if is_suspicious => {
                self.backoff.next(None);
                self.isolation.probe();
                return None;
            }
        };
        if !is_filled {
            let refusals = self.probation.end();
            self.reject(refusals);
            return Some(Ended::Drained);
        }
        if self.lease.valid().await.is_none() {
            return Some(Ended::Revoked);
        }
        self.queue.gather().await;
        // What is taken counts as offered, so the lease is asked first.
        if matches!(self.lease.ask(), Standing::Valid(_)) {
            let batch = self.take_batch();
            self.isolation.add(batch);
        }
        None
    }

    /// Offers a piece once. The isolation keeps what is left of it. Returns the
    /// reason if the tenure is over.
    async fn deliver(&mut self, mut piece: Piece) -> Option<Ended> {
        self.stall.next_attempt(None);
        // The lease is asked after this, because opening may take long.
        match self.writer.ready().await {
            Ok(Readiness::Ready) => {}
            Ok(Readiness::SwapWaits) => {
                self.isolation.retry(piece);
                return None;
            }
            Err(failure) => {
                self.probation.observe(&Observed::failure(&failure));
                return self.failed(piece, failure).await;
            }
        }
        // Asked before every write.
        if self.lease.valid().await.is_none() {
            self.not_confirmed(piece.batch);
            return Some(Ended::Revoked);
        }
        self.count_offer(&mut piece.batch);
        let compute = piece.compute_time();
        let started = Instant::now();
        let written = self.writer.write(&piece.batch, compute).await;
        if let Written::Done(result) = &written {
            let records = piece.batch.records.len();
            let observed = Observed::of(result, records, started.elapsed());
            self.probation.observe(&observed);
        }
        self.written(piece, written).await
    }

    fn count_offer(&mut self, batch: &mut Batch) {
        if batch.offers > 0 {
            self.metrics.retried.inc_by(to_u64(batch.records.len()));
        }
        batch.offers += 1;
        self.probation.offered();
    }

    async fn written(&mut self, piece: Piece, written: Written) -> Option<Ended> {
        match written {
            Written::Done(Ok(refusals)) => self.settle(piece, refusals).await,
            Written::Done(Err(WriteError::Failed(failure))) => self.failed(piece, failure).await,
            Written::Done(Err(WriteError::Broken(broken))) => {
                self.broken(piece, &broken).await;
                None
            }
            Written::Cancelled => {
                tracing::warn!(
                    plugin = self.source(),
                    records = piece.batch.records.len(),
                    "offering to the next sink what this one did not confirm in time"
                );
                self.show_retry(&piece, "this sink did not confirm it before another came");
                self.isolation.retry(piece);
                None
            }
            Written::Revoked => {
                self.interrupted(piece.batch);
                Some(Ended::Revoked)
            }
        }
    }

    /// Waits for as long as the backoff says, or the sink if that is longer;
    /// but only while some producer waits for the batch, and until a swap
    /// arrives.
    async fn wait(&mut self, batch: Option<&Batch>, at_least: Option<RetryAfter>) {
        if self.writer.swaps.is_waiting() {
            return;
        }
        let end = Instant::now() + self.backoff.next(at_least);
        self.stall.next_attempt(Some(end));
        let is_abandoned = || batch.is_some_and(Batch::is_abandoned);
        while !is_abandoned() && Instant::now() < end {
            self.settle_refusals();
            let next = (Instant::now() + ABANDONED_POLL_INTERVAL).min(end);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.lease.revoked() => return,
                () = self.writer.swaps.arrived() => return,
            }
        }
    }

    /// The sink accepted the piece, except for the refused records.
    async fn settle(&mut self, piece: Piece, refusals: Vec<Refusal>) -> Option<Ended> {
        // Asked before every acknowledgement.
        let Some(now) = self.lease.valid().await else {
            self.not_acknowledged(piece.batch);
            return Some(Ended::Revoked);
        };
        let (batch, failure) = self.confirm(now, piece, refusals)?;
        self.failed(Piece::of(batch), failure).await
    }

    /// The sink refused all of these records, and its instance lives on.
    async fn failed(&mut self, piece: Piece, failure: Failure) -> Option<Ended> {
        match failure {
            Failure::Retryable { reason, after } => {
                self.report_retry(&piece, &reason);
                self.stall.failed(reason);
                if self.may_wait_beside(&piece) {
                    self.retries.failed_alone(piece, after);
                    return None;
                }
                self.wait(Some(&piece.batch), after).await;
                self.isolation.retry(piece);
                None
            }
            // Offering the records apart shows which ones are meant.
            Failure::Permanent(reason) => {
                if let Some(batch) = self.isolation.refused(piece) {
                    self.refuse(batch, reason);
                }
                None
            }
            Failure::Fenced(reason) => Some(self.fenced(piece.batch, reason)),
        }
    }

    /// Whether a piece that failed may wait while others are written, so that it does
    /// not hold them up. Not if it is part of the search for records that break the
    /// sink.
    fn may_wait_beside(&self, piece: &Piece) -> bool {
        let has_places = self.writer.sink.concurrency() > 1;
        has_places && !piece.is_probe() && !self.isolation.has_suspects()
    }

    fn report_retry(&self, piece: &Piece, reason: &str) {
        tracing::warn!(
            plugin = self.source(),
            reason,
            records = piece.batch.records.len(),
            "the sink asks to try again"
        );
        self.show_retry(piece, reason);
        piece.batch.set_last_error(reason);
    }

    /// The instance is gone. The next attempt is made by a fresh one, or by the
    /// next sink, which may take what broke this one.
    async fn broken(&mut self, piece: Piece, broken: &Broken) {
        let Some(reason) = self.report_broken(&piece, broken) else {
            return self.isolation.retry(piece);
        };
        self.stall.failed(reason);
        if broken.suspects_records() {
            self.isolation.broke(piece, broken);
        } else if self.may_wait_beside(&piece) {
            self.retries.failed_alone(piece, None);
        } else {
            self.wait(Some(&piece.batch), None).await;
            self.isolation.retry(piece);
        }
    }

    /// Says why the instance is replaced; `None` if a swap replaces the sink.
    fn report_broken(&self, piece: &Piece, broken: &Broken) -> Option<String> {
        self.metrics.sink_restarts.inc();
        if self.writer.swaps.is_waiting() || self.probation.paused_until().is_some() {
            tracing::warn!(
                plugin = self.source(),
                error = %broken,
                "the sink broke before the next one replaced it"
            );
            return None;
        }
        tracing::warn!(
            plugin = self.source(),
            error = %broken,
            records = piece.batch.records.len(),
            "replacing a broken sink instance"
        );
        let reason = broken.to_string();
        self.show_retry(piece, &reason);
        piece.batch.set_last_error(&reason);
        Some(reason)
    }

    fn show_retry(&self, piece: &Piece, reason: &str) {
        let fate = || Fate::Retried(excerpt(reason, REASON_CHARS).into());
        self.tail.passed(&piece.batch, fate);
    }

    fn source(&self) -> &str {
        &self.writer.identity().source
    }
}
