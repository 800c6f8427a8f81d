//! Writes batches to the current sink, and replaces it when asked to.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::active_sink::ActiveSink;
use crate::batch::Batch;
use crate::compute_limit::{ComputeLimit, ComputeTime};
use crate::in_flight::Terms;
use crate::isolation::Piece;
use crate::metrics::StreamMetrics;
use crate::sink_swap::{SinkSwap, SwapQueue};
use crate::watch::Watch;
use crate::write_span::WriteSpan;
use sluice_types::lease::Lease;
use sluice_types::outcome::{Failure, Refusal, TimeLimit, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::sink::Attempt;

/// How long a write in progress may take to end once a swap waits.
pub(crate) const SWAP_GRACE: Duration = Duration::from_secs(1);

/// How a write ended.
pub(crate) enum Written {
    Done(Result<Vec<Refusal>, WriteError>),
    /// The lease was revoked during the write.
    Revoked,
    /// The write was cancelled because a swap waits.
    Cancelled,
}

/// Whether a batch can be written now.
pub(crate) enum Readiness {
    Ready,
    /// A swap waits; [`SinkWriter::switch`] comes first.
    SwapWaits,
}

/// How a pause before a swap has ended.
pub(crate) enum Pause {
    /// A swap has arrived, or its time is over.
    Over,
    /// No swap can arrive any more.
    NoSwapComes,
    /// The lease was revoked.
    Revoked,
}

/// The current sink and the swaps that replace it.
#[derive(Debug)]
pub(crate) struct SinkWriter {
    pub(crate) sink: ActiveSink,
    pub(crate) swaps: SwapQueue,
    limit: ComputeLimit,
    lease: Arc<Lease>,
    metrics: Arc<StreamMetrics>,
}

impl SinkWriter {
    pub(crate) fn new(
        sink: ActiveSink,
        swaps: SwapQueue,
        lease: Arc<Lease>,
        metrics: Arc<StreamMetrics>,
    ) -> Self {
        Self {
            sink,
            swaps,
            limit: ComputeLimit::default(),
            lease,
            metrics,
        }
    }

    /// The current sink.
    pub(crate) fn identity(&self) -> &Identity {
        self.sink.identity()
    }

    /// Replaces the sink if a swap waits. Returns what to watch the new one for.
    pub(crate) fn switch(&mut self) -> Option<Watch> {
        let SinkSwap { sink, watch, old } = self.swaps.take()?;
        let replaced = std::mem::replace(&mut self.sink, sink);
        // If nobody waits for the old one, it need not be closed.
        drop(old.send(replaced));
        self.limit.forget();
        Some(watch)
    }

    /// Waits for a swap until then.
    pub(crate) async fn until_swap(&mut self, until: Instant) -> Pause {
        tokio::select! {
            biased;
            () = self.lease.revoked() => Pause::Revoked,
            is_swap = self.swaps.next() => match is_swap {
                true => Pause::Over,
                false => Pause::NoSwapComes,
            },
            () = tokio::time::sleep_until(until) => Pause::Over,
        }
    }

    /// Opens a fresh instance if the last one is gone. Ends early if the lease
    /// is revoked meanwhile: the caller asks the lease next.
    pub(crate) async fn ready(&mut self) -> Result<Readiness, Failure> {
        if self.swaps.is_waiting() {
            return Ok(Readiness::SwapWaits);
        }
        if self.sink.is_open() {
            return Ok(Readiness::Ready);
        }
        tokio::select! {
            // A sink that fails to open at once must not hide the revocation.
            biased;
            () = self.lease.revoked() => Ok(Readiness::Ready),
            opened = self.sink.reopen() => opened.map(|()| Readiness::Ready),
            () = self.swaps.arrived() => Ok(Readiness::SwapWaits),
        }
    }

    /// One call of the sink's `write`. If a swap arrives meanwhile, the call is
    /// cancelled unless it ends within [`SWAP_GRACE`].
    pub(crate) async fn write(&mut self, batch: &Batch, compute: ComputeTime) -> Written {
        let started = Instant::now();
        let counted = self.metrics.write_under_way();
        let (span, attempt) = self.attempt(batch);
        let compute = self.limit.of(compute);
        let written = self.call(batch, attempt, compute).await;
        drop(counted);
        let took = started.elapsed();
        match &written {
            Written::Done(result) => {
                span.end(result);
                self.ended(result, took);
            }
            Written::Revoked | Written::Cancelled => self.observe(took),
        }
        written
    }

    /// The terms of a write beside others.
    pub(crate) fn terms(&self, piece: &Piece, is_trial: bool) -> Terms {
        let (span, attempt) = self.attempt(&piece.batch);
        Terms {
            attempt,
            span,
            compute: self.limit.of(piece.compute_time()),
            is_trial,
        }
    }

    /// Learns from a write that has ended.
    pub(crate) fn ended(&mut self, result: &Result<Vec<Refusal>, WriteError>, took: Duration) {
        self.observe(took);
        match result {
            Ok(_) => self.limit.wrote(took),
            Err(WriteError::Broken(broken)) if broken.spun_until(TimeLimit::Manifest) => {
                self.limit.alarm();
            }
            Err(_) => {}
        }
    }

    fn observe(&self, took: Duration) {
        self.metrics.write_seconds.observe(took);
    }

    /// Begins an offer.
    fn attempt(&self, batch: &Batch) -> (WriteSpan, Attempt) {
        let (records, plugin) = (batch.records.len(), &self.identity().source);
        let (span, trace) = WriteSpan::begin(&batch.span, batch.offers, records, plugin);
        let attempt = Attempt {
            epoch: self.lease.epoch(),
            number: batch.offers,
            trace,
        };
        (span, attempt)
    }

    async fn call(&mut self, batch: &Batch, attempt: Attempt, compute: Duration) -> Written {
        let mut writing = pin!(self.sink.write(attempt, &batch.records, compute));
        tokio::select! {
            biased;
            written = writing.as_mut() => return Written::Done(written),
            () = self.lease.revoked() => return Written::Revoked,
            () = self.swaps.arrived() => {}
        }
        tokio::select! {
            biased;
            written = writing => Written::Done(written),
            () = self.lease.revoked() => Written::Revoked,
            () = tokio::time::sleep(SWAP_GRACE) => Written::Cancelled,
        }
    }
}
