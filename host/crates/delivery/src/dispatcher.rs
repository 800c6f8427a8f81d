//! The one loop through which every record passes on its way to the sink.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::active_sink::ActiveSink;
use crate::batch::{Batch, Settled};
use crate::dead_letters::{Cause, DeadLetters, Letter};
use crate::guard::Guard;
use crate::isolation::{Isolation, Piece};
use crate::metrics::StreamMetrics;
use crate::queue::Queue;
use crate::trace::AckTrace;
use sluice_types::backoff::Backoff;
use sluice_types::lease::{Lease, Standing};
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::sink::Attempt;

/// Waits between attempts at the same records.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// The time for a write to end when another sink is to take over.
const SWAP_GRACE: Duration = Duration::from_secs(1);
/// How often a wait checks whether any producer still waits for the outcome.
const ABANDONED_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The queue was closed and every request has its outcome.
    Drained,
    /// The lease was revoked.
    Revoked,
    /// The destination knows a later leader.
    Fenced(String),
}

/// A sink that is to take over, opened.
#[derive(Debug)]
pub struct SinkSwap {
    /// The new one.
    pub sink: ActiveSink,
    /// Gets the old one as soon as nothing more is written to it.
    pub old: oneshot::Sender<ActiveSink>,
}

/// How a write ended.
enum Written {
    Done(Result<Vec<Refusal>, WriteError>),
    /// The lease was revoked.
    Revoked,
    /// It was cancelled, because another sink waits.
    Cancelled,
}

/// What the dispatcher is given.
#[derive(Debug)]
pub struct Delivery {
    /// Where requests wait.
    pub queue: Arc<Queue>,
    /// Until when this node may write and acknowledge.
    pub lease: Arc<Lease>,
    /// What takes the records.
    pub sink: ActiveSink,
    /// Brings the sinks that are to take over.
    pub swaps: mpsc::Receiver<SinkSwap>,
    /// Keeps what no sink takes.
    pub letters: DeadLetters,
    /// Counts what happens.
    pub metrics: Arc<StreamMetrics>,
    /// Audits what was acknowledged.
    pub trace: Option<Arc<AckTrace>>,
}

/// Takes batches from a tenure's queue to its sink.
#[derive(Debug)]
pub struct Dispatcher {
    /// What it works with.
    pub delivery: Delivery,
    isolation: Isolation,
    guard: Guard,
    backoff: Backoff,
    /// A sink that waits for the write under way.
    next_sink: Option<SinkSwap>,
}

impl Dispatcher {
    /// One that has not begun.
    #[must_use]
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            isolation: Isolation::default(),
            guard: Guard::default(),
            backoff: Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF),
            next_sink: None,
        }
    }

    /// Runs until the queue is drained or the tenure is over. Whoever then
    /// still waits in the queue is the caller's to tell.
    pub async fn run(&mut self) -> Ended {
        loop {
            self.switch();
            if self.isolation.is_sink_in_doubt() {
                self.wait(None, None).await;
                self.isolation.probe();
            }
            let ended = match self.isolation.next() {
                Some(piece) => self.deliver(piece).await,
                None => self.take().await,
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// Waits for something to deliver.
    async fn take(&mut self) -> Option<Ended> {
        let Delivery {
            queue,
            lease,
            swaps,
            ..
        } = &mut self.delivery;
        let is_suspicious = self.isolation.has_suspects();
        let more = tokio::select! {
            biased;
            Some(next) = swaps.recv() => {
                self.next_sink = Some(next);
                return None;
            }
            more = queue.filled() => more,
            () = lease.revoked() => return Some(Ended::Revoked),
            // Nothing else comes that could show whose fault it was.
            () = tokio::time::sleep(self.backoff.peek()), if is_suspicious => {
                self.backoff.next(None);
                self.isolation.probe();
                return None;
            }
        };
        if !more {
            return Some(Ended::Drained);
        }
        if lease.valid().await.is_none() {
            return Some(Ended::Revoked);
        }
        queue.gather().await;
        // What is taken counts as offered, so the lease is asked first.
        if matches!(lease.ask(), Standing::Valid(_)) {
            self.isolation.add(queue.take());
        }
        None
    }

    /// Offers a piece once. What is left of it is in the isolation; says why,
    /// if the tenure is over.
    async fn deliver(&mut self, mut piece: Piece) -> Option<Ended> {
        // A sink may take long to open, so this comes before the question.
        match self.reopen().await {
            Ok(true) => {}
            Ok(false) => {
                self.isolation.again(piece);
                return None;
            }
            Err(failure) => return self.failed(piece, failure).await,
        }
        // Asked before every write.
        if self.delivery.lease.valid().await.is_none() {
            match piece.batch.offers {
                0 => piece
                    .batch
                    .not_delivered("the node is no longer the leader"),
                _ => piece
                    .batch
                    .unknown("the node stepped down before the sink confirmed it"),
            }
            return Some(Ended::Revoked);
        }
        if piece.batch.offers > 0 {
            let records = as_u64(piece.batch.records.len());
            self.delivery.metrics.retried.inc_by(records);
        }
        piece.batch.offers += 1;
        let started = Instant::now();
        let written = self.write(&piece.batch).await;
        let took = started.elapsed();
        self.delivery
            .metrics
            .write_seconds
            .observe(took.as_secs_f64());
        match written {
            Written::Done(Ok(refusals)) => {
                self.guard.wrote(took);
                return self.settle(piece, refusals).await;
            }
            Written::Done(Err(WriteError::Failed(failure))) => {
                return self.failed(piece, failure).await;
            }
            // Whatever broke the old sink, the new one may take.
            Written::Done(Err(WriteError::Broken(broken))) if self.next_sink.is_some() => {
                tracing::warn!(
                    plugin = self.source(),
                    error = %broken,
                    "the sink broke before the next took over"
                );
                self.delivery.metrics.sink_restarts.inc();
                self.isolation.again(piece);
            }
            Written::Done(Err(WriteError::Broken(broken))) => self.broken(piece, &broken).await,
            Written::Cancelled => {
                tracing::warn!(
                    plugin = self.source(),
                    records = piece.batch.records.len(),
                    "offering to the next sink what this one did not confirm in time"
                );
                self.isolation.again(piece);
            }
            Written::Revoked => {
                piece
                    .batch
                    .unknown("the node stepped down while the sink was writing it");
                return Some(Ended::Revoked);
            }
        }
        None
    }

    /// Sees to an instance that can be written to; false if another sink is to
    /// take over instead.
    async fn reopen(&mut self) -> Result<bool, Failure> {
        if self.next_sink.is_some() {
            return Ok(false);
        }
        let Delivery {
            sink, lease, swaps, ..
        } = &mut self.delivery;
        if sink.is_open() {
            return Ok(true);
        }
        self.next_sink = tokio::select! {
            // A sink that fails at once must not hide it from what comes next.
            biased;
            () = lease.revoked() => return Ok(true),
            opened = sink.reopen() => return opened.map(|()| true),
            Some(next) = swaps.recv() => Some(next),
        };
        Ok(false)
    }

    /// One `write`. When another sink is to take over meanwhile, it has a
    /// while to end, and is cancelled then.
    async fn write(&mut self, batch: &Batch) -> Written {
        let compute = self.guard.compute();
        let Delivery {
            sink, lease, swaps, ..
        } = &mut self.delivery;
        let attempt = Attempt {
            epoch: lease.epoch(),
            number: batch.offers,
        };
        let mut writing = pin!(sink.write(attempt, &batch.records, compute));
        self.next_sink = tokio::select! {
            biased;
            written = writing.as_mut() => return Written::Done(written),
            () = lease.revoked() => return Written::Revoked,
            Some(next) = swaps.recv() => Some(next),
        };
        tokio::select! {
            biased;
            written = writing => Written::Done(written),
            () = lease.revoked() => Written::Revoked,
            () = tokio::time::sleep(SWAP_GRACE) => Written::Cancelled,
        }
    }

    /// Lets the sink that waits take what comes next.
    fn switch(&mut self) {
        let next = self.next_sink.take();
        let Some(SinkSwap { sink, old }) = next.or_else(|| self.delivery.swaps.try_recv().ok())
        else {
            return;
        };
        let replaced = std::mem::replace(&mut self.delivery.sink, sink);
        // Whoever no longer waits for the old one does not need it closed.
        drop(old.send(replaced));
        // Nothing is known of the new one.
        self.isolation.forgive();
        self.guard.forget();
        self.backoff.reset();
    }

    /// Waits as long as the backoff says, or the sink, if that is longer; but
    /// not for longer than anybody waits for the outcome of the batch, and not
    /// once another sink is to take over.
    async fn wait(&mut self, batch: Option<&Batch>, least: Option<Duration>) {
        if self.next_sink.is_some() {
            return;
        }
        let end = tokio::time::Instant::now() + self.backoff.next(least);
        let is_in_vain = || batch.is_some_and(Batch::is_abandoned);
        while !is_in_vain() && tokio::time::Instant::now() < end {
            let next = (tokio::time::Instant::now() + ABANDONED_POLL_INTERVAL).min(end);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.delivery.lease.revoked() => return,
                Some(next) = self.delivery.swaps.recv() => {
                    self.next_sink = Some(next);
                    return;
                }
            }
        }
    }

    /// The sink took the piece, but for some records.
    async fn settle(&mut self, piece: Piece, refusals: Vec<Refusal>) -> Option<Ended> {
        let is_probe = piece.is_probe();
        let batch = piece.batch;
        // Asked before every acknowledgement, after every wait.
        let Some(now) = self.delivery.lease.valid().await else {
            batch.unknown("the node stepped down before it could acknowledge");
            return Some(Ended::Revoked);
        };
        if let Err(error) = self.audit(now, &batch, &refusals) {
            tracing::error!(%error, "failed to write the trace of acknowledgements");
            batch.unknown("its acknowledgement could not be traced");
            return None;
        }
        self.backoff.reset();
        let confirmed = batch.records.len() - refusals.len();
        let acknowledged = if batch.is_acknowledged() {
            batch.newly_acknowledged(&refusals).count()
        } else {
            confirmed
        };
        let metrics = &self.delivery.metrics;
        metrics.acknowledged.inc_by(as_u64(acknowledged));
        metrics.delivered.inc_by(as_u64(confirmed));
        if confirmed > 0 {
            for guilty in self.isolation.confirmed(is_probe) {
                self.set_aside(guilty.batch, Cause::Poison, guilty.reason);
            }
        }
        if refusals.is_empty() {
            batch.acknowledge();
            return None;
        }
        let Settled { retry, refused } = batch.settle(refusals);
        for (batch, reason) in refused {
            self.refuse(batch, reason);
        }
        let (batch, failure) = retry?;
        self.failed(Piece::of(batch), failure).await
    }

    fn audit(
        &self,
        now: sluice_types::clock::BootTime,
        batch: &Batch,
        refusals: &[Refusal],
    ) -> std::io::Result<()> {
        let Some(trace) = &self.delivery.trace else {
            return Ok(());
        };
        let records = batch.newly_acknowledged(refusals).map(|record| record.id);
        trace.decided(now, self.delivery.lease.epoch(), records)
    }

    /// The sink said no to all of these, and lives on.
    async fn failed(&mut self, piece: Piece, failure: Failure) -> Option<Ended> {
        match failure {
            Failure::Retryable { reason, after } => {
                tracing::warn!(
                    plugin = self.source(),
                    reason,
                    records = piece.batch.records.len(),
                    "the sink asks to try again"
                );
                piece.batch.set_last_error(&reason);
                self.wait(Some(&piece.batch), after).await;
                self.isolation.again(piece);
                None
            }
            // Which records it is about shows when they are offered apart.
            Failure::Permanent(reason) => {
                if let Some(batch) = self.isolation.refused(piece) {
                    self.refuse(batch, reason);
                }
                None
            }
            Failure::Fenced(reason) => {
                piece.batch.unknown("the destination knows a later leader");
                Some(Ended::Fenced(reason))
            }
        }
    }

    /// The instance is gone; a fresh one takes the next attempt.
    async fn broken(&mut self, piece: Piece, broken: &Broken) {
        tracing::warn!(
            plugin = self.source(),
            error = %broken,
            records = piece.batch.records.len(),
            "replacing a broken sink instance"
        );
        self.delivery.metrics.sink_restarts.inc();
        piece.batch.set_last_error(&broken.to_string());
        if let Broken::Spinning(_) = broken {
            self.guard.alarm();
        }
        if broken.suspects_records() {
            self.isolation.broke(piece, broken);
        } else {
            self.wait(Some(&piece.batch), None).await;
            self.isolation.again(piece);
        }
    }

    /// The sink will never take this record: its producer is told, or if it no
    /// longer waits, the record is kept.
    fn refuse(&self, batch: Batch, reason: String) {
        // What was acknowledged is refused again and again, until it can be kept.
        if !batch.is_acknowledged() {
            self.delivery.metrics.rejected.inc();
        }
        if batch.is_abandoned() || batch.is_acknowledged() {
            self.set_aside(batch, Cause::Refused, reason);
        } else {
            batch.reject(&reason, false);
        }
    }

    /// Keeps a single record that no sink takes, and tells its producer where.
    fn set_aside(&self, batch: Batch, cause: Cause, reason: String) {
        let Some(record) = batch.records.first() else {
            return;
        };
        tracing::warn!(
            plugin = self.source(),
            epoch = record.id.epoch,
            sequence = record.id.sequence,
            reason,
            "setting a record aside"
        );
        let letter = Letter::new(record, cause, &reason, self.delivery.sink.identity());
        let metrics = Arc::clone(&self.delivery.metrics);
        let tell = move |kept: Result<String, String>| match kept {
            Ok(id) => {
                metrics.dead_lettered.inc();
                if matches!(cause, Cause::Refused) && batch.is_acknowledged() {
                    metrics.rejected.inc();
                }
                batch.reject(
                    &format!("{reason}; it is kept as the dead letter {id}"),
                    true,
                );
            }
            Err(error) => {
                batch.reject(&format!("{reason}; it could not be kept: {error}"), false);
            }
        };
        self.delivery.letters.keep(letter, Box::new(tell));
    }

    fn source(&self) -> &str {
        &self.delivery.sink.identity().source
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
