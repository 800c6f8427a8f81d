//! The span of a write: one offer of records to the sink.

use std::sync::Arc;
use std::time::SystemTime;

use crate::batch_span::{BatchSpan, Followed};
use sluice_types::excerpt::{REASON_CHARS, excerpt};
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::trace::{
    Parent, Scope, Span, SpanFailure, SpanOutcome, TraceContext, Work, WriteWork,
};

/// The span of a write, if it is recorded. Dropped before its end, it says that the
/// write was stopped.
#[derive(Debug, Default)]
pub(crate) struct WriteSpan(Option<Box<Writing>>);

#[derive(Debug)]
struct Writing {
    batch: Arc<Followed>,
    context: TraceContext,
    began: SystemTime,
    attempt: u32,
    records: usize,
    plugin: String,
}

/// How a write has ended.
struct Ending {
    refused: usize,
    outcome: SpanOutcome,
    failure: Option<SpanFailure>,
}

impl WriteSpan {
    /// Begins an offer of so many records to this sink. Returns what the sink's own
    /// requests belong to.
    pub(crate) fn begin(
        batch: &BatchSpan,
        attempt: u32,
        records: usize,
        plugin: &str,
    ) -> (Self, Option<Scope>) {
        let Some(batch) = batch.followed() else {
            return (Self(None), None);
        };
        let mut scope = batch.scope.clone();
        if !scope.context.is_sampled() {
            return (Self(None), Some(scope));
        }
        scope.context = scope.context.child();
        let writing = Writing {
            batch: Arc::clone(batch),
            context: scope.context.clone(),
            began: SystemTime::now(),
            attempt,
            records,
            plugin: plugin.to_owned(),
        };
        (Self(Some(Box::new(writing))), Some(scope))
    }

    /// Ends it.
    pub(crate) fn end(mut self, result: &Result<Vec<Refusal>, WriteError>) {
        if let Some(writing) = self.0.take() {
            let ending = Ending::of(result, writing.records);
            writing.end(ending);
        }
    }
}

impl Drop for WriteSpan {
    fn drop(&mut self) {
        if let Some(writing) = self.0.take() {
            writing.end(Ending {
                refused: 0,
                outcome: SpanOutcome::Cancelled,
                failure: failure("cancelled", "the write was stopped before its end"),
            });
        }
    }
}

impl Writing {
    fn end(self, ending: Ending) {
        let Ending {
            refused,
            outcome,
            failure,
        } = ending;
        let scope = &self.batch.scope;
        scope.tracer.ended(Span {
            context: self.context,
            parent: Some(Parent {
                span: scope.context.span,
                is_remote: false,
            }),
            began: self.began,
            ended: SystemTime::now(),
            work: Work::Write(Box::new(WriteWork {
                stream: Arc::clone(&self.batch.stream),
                epoch: self.batch.epoch,
                attempt: self.attempt,
                records: self.records,
                refused,
                plugin: self.plugin,
                outcome,
                failure,
            })),
        });
    }
}

impl Ending {
    fn of(result: &Result<Vec<Refusal>, WriteError>, records: usize) -> Self {
        let (outcome, failure) = match result {
            Ok(refusals) => return Self::answered(refusals, records),
            Err(WriteError::Failed(Failure::Retryable { reason, .. })) => {
                (SpanOutcome::Retried, failure("retryable", reason))
            }
            Err(WriteError::Failed(Failure::Permanent(reason))) => {
                (SpanOutcome::Rejected, failure("permanent", reason))
            }
            Err(WriteError::Failed(Failure::Fenced(reason))) => {
                (SpanOutcome::Unknown, failure("fenced", reason))
            }
            Err(WriteError::Broken(broken)) => {
                let reason = broken.to_string();
                (SpanOutcome::Retried, failure(kind(broken), &reason))
            }
        };
        Self {
            refused: 0,
            outcome,
            failure,
        }
    }

    /// The sink has answered for each record.
    fn answered(refusals: &[Refusal], records: usize) -> Self {
        let outcome = match refusals.len() {
            0 => SpanOutcome::Accepted,
            refused if refused < records => SpanOutcome::Partial,
            _ if refusals.iter().any(Refusal::is_retryable) => SpanOutcome::Retried,
            _ => SpanOutcome::Rejected,
        };
        let first = refusals.first();
        let failure = first.and_then(|refusal| match &refusal.failure {
            Failure::Retryable { reason, .. } => failure("retryable", reason),
            Failure::Permanent(reason) => failure("permanent", reason),
            Failure::Fenced(reason) => failure("fenced", reason),
        });
        Self {
            refused: refusals.len(),
            outcome,
            failure,
        }
    }
}

fn failure(kind: &'static str, reason: &str) -> Option<SpanFailure> {
    let reason = excerpt(reason, REASON_CHARS).into();
    Some(SpanFailure { kind, reason })
}

const fn kind(broken: &Broken) -> &'static str {
    match broken {
        Broken::Trapped(_) => "trapped",
        Broken::Spinning { .. } => "spinning",
        Broken::Stuck(_) => "stuck",
        Broken::OutOfMemory { .. } => "out_of_memory",
        Broken::Denied(_) => "denied",
        Broken::Contract(_) => "contract",
    }
}
