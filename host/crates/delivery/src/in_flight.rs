//! The writes of a sink that are under way at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::isolation::Piece;
use crate::metrics::{StreamMetrics, WriteUnderWay};
use crate::write_span::WriteSpan;
use sluice_types::outcome::{Failure, Refusal, WriteError};
use sluice_types::sink::{Attempt, BoxFuture, SinkInstance};

/// What a write is given in addition to its records.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) attempt: Attempt,
    pub(crate) span: WriteSpan,
    /// How long the sink may compute.
    pub(crate) compute: Duration,
    /// Whether it is to show if the sink works again.
    pub(crate) is_trial: bool,
}

/// A write that has ended.
pub(crate) struct Done {
    pub(crate) piece: Piece,
    pub(crate) instance: Box<dyn SinkInstance>,
    pub(crate) result: Result<Vec<Refusal>, WriteError>,
    pub(crate) took: Duration,
    /// Whether a failure says nothing about the sink: others were confirmed
    /// meanwhile, or as many are under way as have failed in a row.
    pub(crate) is_alone: bool,
}

/// The writes that are under way. They are polled by the task that waits for
/// them, so that none runs while nobody does. Dropping this cancels them.
#[derive(Debug)]
pub(crate) struct InFlight {
    calls: FuturesUnordered<BoxFuture<'static, Call>>,
    /// In the order in which they began. They stay here, so that a cancelled
    /// call loses none.
    writes: Vec<Write>,
    last_id: u64,
    /// How many were confirmed so far.
    confirmed: u64,
    /// How many have failed since.
    failed_in_a_row: usize,
    metrics: Arc<StreamMetrics>,
}

#[derive(Debug)]
struct Write {
    id: u64,
    piece: Piece,
    began: Instant,
    /// How many were confirmed before it began.
    confirmed: u64,
    is_trial: bool,
    span: WriteSpan,
    _counted: WriteUnderWay,
}

/// A call that has ended.
struct Call {
    id: u64,
    instance: Box<dyn SinkInstance>,
    result: Result<Vec<Refusal>, WriteError>,
}

impl InFlight {
    pub(crate) fn new(metrics: Arc<StreamMetrics>) -> Self {
        Self {
            calls: FuturesUnordered::new(),
            writes: Vec::new(),
            last_id: 0,
            confirmed: 0,
            failed_in_a_row: 0,
            metrics,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.writes.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Whether a write is under way that is to show if the sink works again.
    pub(crate) fn has_trial(&self) -> bool {
        self.writes.iter().any(|write| write.is_trial)
    }

    /// When the latest of these writes began.
    pub(crate) fn last_began(&self) -> Option<Instant> {
        self.writes.last().map(|write| write.began)
    }

    /// Begins a write, which runs while [`ended`](Self::ended) is awaited.
    pub(crate) fn begin(
        &mut self,
        mut instance: Box<dyn SinkInstance>,
        piece: Piece,
        terms: Terms,
    ) {
        self.last_id += 1;
        let id = self.last_id;
        let records = piece.batch.records.clone();
        self.writes.push(Write {
            id,
            piece,
            began: Instant::now(),
            confirmed: self.confirmed,
            is_trial: terms.is_trial,
            span: terms.span,
            _counted: self.metrics.write_under_way(),
        });
        let (attempt, compute) = (terms.attempt, terms.compute);
        self.calls.push(Box::pin(async move {
            let result = instance.write(attempt, &records, compute).await;
            Call {
                id,
                instance,
                result,
            }
        }));
    }

    /// The next write that ends. Waits for ever if none is under way. Can be
    /// cancelled.
    pub(crate) async fn ended(&mut self) -> Done {
        loop {
            let Some(call) = self.calls.next().await else {
                return std::future::pending().await;
            };
            let place = self.writes.iter().position(|write| write.id == call.id);
            let Some(write) = place.map(|place| self.writes.remove(place)) else {
                continue;
            };
            write.span.end(&call.result);
            let others_succeeded = self.confirmed > write.confirmed;
            self.learn(&call.result, write.piece.batch.records.len());
            return Done {
                piece: write.piece,
                instance: call.instance,
                result: call.result,
                took: write.began.elapsed(),
                is_alone: others_succeeded || self.failed_in_a_row <= self.writes.len(),
            };
        }
    }

    fn learn(&mut self, result: &Result<Vec<Refusal>, WriteError>, records: usize) {
        match result {
            Ok(refused) if refused.len() < records => {
                self.confirmed += 1;
                self.failed_in_a_row = 0;
            }
            Ok(_) | Err(WriteError::Failed(Failure::Retryable { .. }) | WriteError::Broken(_)) => {
                self.failed_in_a_row += 1;
            }
            // The destination has judged the records.
            Err(WriteError::Failed(Failure::Permanent(_) | Failure::Fenced(_))) => {}
        }
    }

    /// Cancels all writes, and returns what they were about in the order in
    /// which they began. Their instances are gone.
    pub(crate) fn cancel(&mut self) -> Vec<Piece> {
        self.calls.clear();
        let writes = std::mem::take(&mut self.writes);
        writes.into_iter().map(|write| write.piece).collect()
    }
}
