//! The span of a batch: from when it was taken from the queue until all of its records
//! have an outcome, in however many parts and attempts.
//!
//! A batch with records of one request is below the span of that request. One with
//! records of several begins a trace of its own with links to theirs, which is recorded
//! if any of theirs is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::completion::Completion;
use sluice_types::trace::{
    BatchWork, Parent, Scope, Span, SpanOutcome, TraceContext, TraceId, Tracer, Work,
};

/// The most spans of requests that a batch links.
const MAX_LINKS: usize = 32;

/// Makes the spans of a stream.
#[derive(Clone, Debug)]
pub struct StreamTracer {
    /// Takes the spans.
    pub tracer: Arc<dyn Tracer>,
    /// The stream's name.
    pub stream: Arc<str>,
}

/// The span of a batch, if this node makes spans. Every part of the batch has a clone;
/// with the last one, the span ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchSpan(Option<Arc<Followed>>);

/// What becomes of records, and is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settled {
    Accepted,
    Rejected,
    NotDelivered,
}

/// A batch that has a context.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) scope: Scope,
    pub(crate) stream: Arc<str>,
    parent: Option<Parent>,
    began: SystemTime,
    pub(crate) epoch: u64,
    records: usize,
    requests: usize,
    links: Vec<TraceContext>,
    links_dropped: usize,
    /// By [`Settled`].
    settled: [AtomicUsize; 3],
}

/// How a batch belongs to the requests in it.
struct Belonging {
    context: TraceContext,
    parent: Option<Parent>,
    links: Vec<TraceContext>,
    links_dropped: usize,
}

impl StreamTracer {
    /// Begins the span of a batch with so many records of these requests.
    pub(crate) fn begin(&self, epoch: u64, records: usize, requests: &[Completion]) -> BatchSpan {
        let belonging = Belonging::of(requests, &*self.tracer);
        BatchSpan(Some(Arc::new(Followed {
            scope: Scope {
                tracer: Arc::clone(&self.tracer),
                context: belonging.context,
            },
            stream: Arc::clone(&self.stream),
            parent: belonging.parent,
            began: SystemTime::now(),
            epoch,
            records,
            requests: requests.len(),
            links: belonging.links,
            links_dropped: belonging.links_dropped,
            settled: Default::default(),
        })))
    }
}

impl Belonging {
    fn of(requests: &[Completion], tracer: &dyn Tracer) -> Self {
        if let [only] = requests
            && let Some(request) = only.trace()
        {
            return Self {
                context: request.child(),
                parent: Some(Parent {
                    span: request.span,
                    is_remote: false,
                }),
                links: Vec::new(),
                links_dropped: 0,
            };
        }
        let mut spans = requests.iter().filter_map(Completion::trace).peekable();
        if spans.peek().is_none() {
            return Self::root(tracer.root());
        }
        let mut sampled = spans.filter(|span| span.is_sampled());
        let links: Vec<_> = sampled.by_ref().take(MAX_LINKS).cloned().collect();
        let is_sampled = !links.is_empty();
        Self {
            links_dropped: sampled.count(),
            links,
            ..Self::root(TraceContext::root(TraceId::random(), is_sampled))
        }
    }

    const fn root(context: TraceContext) -> Self {
        Self {
            context,
            parent: None,
            links: Vec::new(),
            links_dropped: 0,
        }
    }
}

impl BatchSpan {
    /// Counts what became of records.
    pub(crate) fn count(&self, settled: Settled, records: usize) {
        if let Some(followed) = &self.0
            && let Some(count) = followed.settled.get(settled as usize)
        {
            count.fetch_add(records, Ordering::Relaxed);
        }
    }

    /// What the spans of writes need.
    pub(crate) const fn followed(&self) -> Option<&Arc<Followed>> {
        self.0.as_ref()
    }
}

impl Followed {
    fn outcome(&self) -> (SpanOutcome, usize) {
        let [accepted, rejected, not_delivered] = &self.settled;
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let rejected = count(rejected);
        let outcome = match (count(accepted), rejected, count(not_delivered)) {
            (accepted, 0, 0) if accepted >= self.records => SpanOutcome::Accepted,
            (0, rejected, 0) if rejected >= self.records => SpanOutcome::Rejected,
            (0, 0, not_delivered) if not_delivered >= self.records => SpanOutcome::Busy,
            (0, 0, _) => SpanOutcome::Unknown,
            _ => SpanOutcome::Partial,
        };
        (outcome, rejected)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if !self.scope.context.is_sampled() {
            return;
        }
        let (outcome, rejected) = self.outcome();
        self.scope.tracer.ended(Span {
            context: self.scope.context.clone(),
            parent: self.parent,
            began: self.began,
            ended: SystemTime::now(),
            work: Work::Batch(Box::new(BatchWork {
                stream: Arc::clone(&self.stream),
                epoch: self.epoch,
                records: self.records,
                requests: self.requests,
                links: std::mem::take(&mut self.links),
                links_dropped: self.links_dropped,
                rejected,
                outcome,
            })),
        });
    }
}
