//! The one loop through which every record passes on its way to the sink.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Settled};
use super::queue::Queue;
use super::trace::AckTrace;
use crate::backoff::Backoff;
use crate::lease::{Lease, Standing};
use crate::metrics::Metrics;
use crate::record::LogRecord;
use crate::sink::{Attempt, Broken, Failure, Instance, Prepared, Refusal, WriteError};

/// Waits between attempts at the same records.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// The time for a write to end when another sink is to take over.
const HANDOVER: Duration = Duration::from_secs(1);
/// How often a wait looks whether anybody still waits for the outcome.
const LOOK: Duration = Duration::from_millis(100);

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

/// A sink with the instance that runs it, replaced when it breaks.
#[derive(Debug)]
pub struct ActiveSink {
    prepared: Arc<Prepared>,
    instance: Option<Instance>,
}

impl ActiveSink {
    /// A sink that was opened.
    #[must_use]
    pub const fn new(prepared: Arc<Prepared>, instance: Instance) -> Self {
        Self {
            prepared,
            instance: Some(instance),
        }
    }

    async fn write(
        &mut self,
        attempt: Attempt,
        batch: &[LogRecord],
    ) -> Result<Vec<Refusal>, WriteError> {
        // Taken out, so that a call which is cancelled or breaks ends it.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.prepared.open().await.map_err(not_the_records_fault)?,
        };
        let written = instance.write(attempt, batch).await;
        if !matches!(written, Err(WriteError::Broken(_))) {
            self.instance = Some(instance);
        }
        written
    }

    /// Closes the instance, if it is healthy.
    pub async fn close(self) {
        if let Some(instance) = self.instance
            && let Err(error) = instance.close().await
        {
            tracing::warn!(plugin = self.prepared.identity().source, %error, "the sink did not close cleanly");
        }
    }
}

/// When a fresh instance can not be opened, that says nothing of the records.
fn not_the_records_fault(error: WriteError) -> WriteError {
    let after = match &error {
        WriteError::Failed(Failure::Retryable { after, .. }) => *after,
        _ => None,
    };
    Failure::Retryable {
        reason: format!("open the sink again: {error}"),
        after,
    }
    .into()
}

/// A sink that is to take over, opened.
#[derive(Debug)]
pub struct Handover {
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

/// What to do after an attempt.
enum Next {
    Done,
    Again(Batch, Option<Duration>),
    /// To the next sink, at once.
    Onward(Batch),
    Halves(Batch, Batch),
    End(Ended),
}

/// Takes batches from a tenure's queue to its sink.
#[derive(Debug)]
pub struct Dispatcher {
    /// Where requests wait.
    pub queue: Arc<Queue>,
    /// Until when this node may write and acknowledge.
    pub lease: Arc<Lease>,
    /// What takes the records.
    pub sink: ActiveSink,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// Audits what was acknowledged.
    pub trace: Option<Arc<AckTrace>>,
    /// Brings the sinks that are to take over.
    pub handovers: mpsc::Receiver<Handover>,
}

impl Dispatcher {
    /// Runs until the queue is drained or the tenure is over. Whoever then
    /// still waits in the queue is the caller's to tell.
    pub async fn run(&mut self) -> Ended {
        loop {
            let more = tokio::select! {
                biased;
                Some(handover) = self.handovers.recv() => {
                    self.switch(handover);
                    continue;
                }
                more = self.queue.filled() => more,
                () = self.lease.revoked() => return Ended::Revoked,
            };
            if !more {
                return Ended::Drained;
            }
            if self.lease.valid().await.is_none() {
                return Ended::Revoked;
            }
            self.queue.gather().await;
            // What is taken counts as offered, so the lease is asked first.
            if !matches!(self.lease.ask(), Standing::Valid(_)) {
                continue;
            }
            let mut work = vec![self.queue.take()];
            while let Some(batch) = work.pop() {
                if let Some(ended) = self.deliver(batch, &mut work).await {
                    return ended;
                }
            }
        }
    }

    /// Offers a batch until every record has an outcome, or is in `work` as a
    /// part of the batch. Says why, if the tenure is over.
    async fn deliver(&mut self, mut batch: Batch, work: &mut Vec<Batch>) -> Option<Ended> {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            if batch.records.is_empty() || batch.is_abandoned() {
                return None;
            }
            // Asked before every write.
            if self.lease.valid().await.is_none() {
                match batch.offers {
                    0 => batch.not_delivered("the node is no longer the leader"),
                    _ => batch.unknown("the node stepped down before the sink confirmed it"),
                }
                return Some(Ended::Revoked);
            }
            if let Ok(handover) = self.handovers.try_recv() {
                self.switch(handover);
            }
            match self.attempt(batch).await {
                Next::Again(rest, least) => {
                    batch = rest;
                    self.metrics.retried.inc_by(as_u64(batch.records.len()));
                    if self.wait(&batch, backoff.next(least)).await {
                        backoff.reset();
                    }
                }
                Next::Onward(rest) => {
                    batch = rest;
                    self.metrics.retried.inc_by(as_u64(batch.records.len()));
                    backoff.reset();
                }
                Next::Halves(first, second) => {
                    work.extend([second, first]);
                    return None;
                }
                Next::Done => return None,
                Next::End(ended) => return Some(ended),
            }
        }
    }

    /// Lets another sink take the next batch.
    fn switch(&mut self, Handover { sink, old }: Handover) {
        let replaced = std::mem::replace(&mut self.sink, sink);
        // Whoever no longer waits for the old one does not need it closed.
        drop(old.send(replaced));
    }

    /// Waits before the next attempt, but not for longer than anybody waits
    /// for its outcome. True: another sink took over, so there is nothing to
    /// wait for.
    async fn wait(&mut self, batch: &Batch, wait: Duration) -> bool {
        let end = tokio::time::Instant::now() + wait;
        while !batch.is_abandoned() && tokio::time::Instant::now() < end {
            let next = (tokio::time::Instant::now() + LOOK).min(end);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.lease.revoked() => return false,
                Some(handover) = self.handovers.recv() => {
                    self.switch(handover);
                    return true;
                }
            }
        }
        false
    }

    async fn attempt(&mut self, mut batch: Batch) -> Next {
        batch.offers += 1;
        let attempt = Attempt {
            epoch: self.lease.epoch(),
            number: batch.offers,
        };
        let started = Instant::now();
        let (written, handover) = self.write(attempt, &batch.records).await;
        self.metrics
            .write_seconds
            .observe(started.elapsed().as_secs_f64());
        let next = match written {
            Written::Done(Ok(refusals)) => self.settle(batch, refusals).await,
            Written::Done(Err(WriteError::Failed(failure))) => self.failed(batch, failure),
            // Whatever broke the old sink, the new one may take.
            Written::Done(Err(WriteError::Broken(broken))) if handover.is_some() => {
                tracing::warn!(plugin = self.source(), error = %broken, "the sink broke before the next took over");
                self.metrics.sink_restarts.inc();
                Next::Onward(batch)
            }
            Written::Done(Err(WriteError::Broken(broken))) => self.broken(batch, &broken),
            Written::Cancelled => {
                tracing::warn!(
                    plugin = self.source(),
                    records = batch.records.len(),
                    "offering to the next sink what this one did not confirm in time"
                );
                Next::Onward(batch)
            }
            Written::Revoked => {
                batch.unknown("the node stepped down while the sink was writing it");
                Next::End(Ended::Revoked)
            }
        };
        let Some(handover) = handover else {
            return next;
        };
        self.switch(handover);
        match next {
            // What the old sink wanted to wait for is no matter of the new one.
            Next::Again(batch, _) => Next::Onward(batch),
            next => next,
        }
    }

    /// One `write`. When another sink is to take over meanwhile, it has a
    /// while to end, and is cancelled then.
    async fn write(
        &mut self,
        attempt: Attempt,
        records: &[LogRecord],
    ) -> (Written, Option<Handover>) {
        let mut writing = pin!(self.sink.write(attempt, records));
        let handover = tokio::select! {
            biased;
            written = writing.as_mut() => return (Written::Done(written), None),
            () = self.lease.revoked() => return (Written::Revoked, None),
            Some(handover) = self.handovers.recv() => handover,
        };
        let written = tokio::select! {
            biased;
            written = writing => Written::Done(written),
            () = self.lease.revoked() => Written::Revoked,
            () = tokio::time::sleep(HANDOVER) => Written::Cancelled,
        };
        (written, Some(handover))
    }

    /// The sink took the batch, but for some records.
    async fn settle(&mut self, batch: Batch, refusals: Vec<Refusal>) -> Next {
        // Asked before every acknowledgement, after every wait.
        let Some(now) = self.lease.valid().await else {
            batch.unknown("the node stepped down before it could acknowledge");
            return Next::End(Ended::Revoked);
        };
        if let Err(error) = self.audit(now, &batch, &refusals) {
            tracing::error!(%error, "failed to write the trace of acknowledgements");
            batch.unknown("its acknowledgement could not be traced");
            return Next::Done;
        }
        let rejected = refusals
            .iter()
            .filter(|r| matches!(r.failure, Failure::Permanent(_)))
            .count();
        self.metrics.rejected.inc_by(as_u64(rejected));
        self.metrics
            .acknowledged
            .inc_by(as_u64(batch.records.len() - refusals.len()));
        if refusals.is_empty() {
            batch.acknowledge();
            return Next::Done;
        }
        match batch.settle(refusals) {
            Settled::All => Next::Done,
            Settled::Retry(rest, failure) => self.failed(rest, failure),
            Settled::Fenced(rest, reason) => self.failed(rest, Failure::Fenced(reason)),
        }
    }

    fn audit(
        &self,
        now: crate::clock::BootTime,
        batch: &Batch,
        refusals: &[Refusal],
    ) -> std::io::Result<()> {
        let Some(trace) = &self.trace else {
            return Ok(());
        };
        let taken = |index: &usize| refusals.binary_search_by_key(index, |r| r.index).is_err();
        let records = batch.records.iter().enumerate();
        trace.decided(
            now,
            records
                .filter(|(index, _)| taken(index))
                .map(|(_, record)| record),
        )
    }

    /// The sink said no to all of these, and lives on.
    fn failed(&self, batch: Batch, failure: Failure) -> Next {
        let source = self.source();
        match failure {
            Failure::Retryable { reason, after } => {
                tracing::warn!(
                    plugin = source,
                    reason,
                    records = batch.records.len(),
                    "the sink asks to try again"
                );
                Next::Again(batch, after)
            }
            Failure::Permanent(reason) => {
                self.metrics.rejected.inc_by(as_u64(batch.records.len()));
                batch.reject(&reason);
                Next::Done
            }
            Failure::Fenced(reason) => {
                batch.unknown("the destination knows a later leader");
                Next::End(Ended::Fenced(reason))
            }
        }
    }

    /// The instance is gone; a fresh one takes the next attempt.
    fn broken(&self, batch: Batch, broken: &Broken) -> Next {
        tracing::warn!(
            plugin = self.source(),
            error = %broken,
            records = batch.records.len(),
            "replacing a broken sink instance"
        );
        self.metrics.sink_restarts.inc();
        if !broken.suspects_records() {
            return Next::Again(batch, None);
        }
        // Requests that only shared a batch with the cause are offered again.
        match batch.halves() {
            Ok((first, second)) => Next::Halves(first, second),
            Err(batch) => {
                batch.unknown(&broken.to_string());
                Next::Done
            }
        }
    }

    fn source(&self) -> &str {
        &self.sink.prepared.identity().source
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
