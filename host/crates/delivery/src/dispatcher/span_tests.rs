//! The spans of batches and writes, under paused time.

use std::sync::{Arc, Mutex};

use super::fake_sink::{Answer, FakeSink};
use super::tenure::{EPOCH, Tenure, at_first, outcome, permanent, rejected, retryable};
use crate::testing::records;
use crate::{Outcome, Producer, Receipt, StreamTracer};
use sluice_types::outcome::Broken;
use sluice_types::trace::{
    BatchWork, Span, SpanOutcome, TraceContext, TraceId, Tracer, Work, WriteWork,
};

/// Keeps what has ended. Traces that begin here are not sampled.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Span>>);

impl Tracer for Kept {
    fn root(&self) -> TraceContext {
        TraceContext::root(TraceId::random(), false)
    }

    fn below(&self, parent: &TraceContext) -> TraceContext {
        parent.child()
    }

    fn ended(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Kept {
    /// What became of the only batch, with its writes in the order of their ends.
    fn batch(&self) -> (Span, Vec<Span>) {
        let spans = std::mem::take(&mut *self.0.lock().unwrap());
        let is_batch = |span: &Span| matches!(span.work, Work::Batch(_));
        let (mut batches, writes): (Vec<_>, Vec<_>) = spans.into_iter().partition(is_batch);
        assert_eq!(batches.len(), 1, "{batches:?}");
        (batches.remove(0), writes)
    }
}

fn batch(span: &Span) -> &BatchWork {
    match &span.work {
        Work::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

fn write(span: &Span) -> &WriteWork {
    match &span.work {
        Work::Write(write) => write,
        other => panic!("{other:?}"),
    }
}

fn start(sink: &FakeSink) -> (Tenure, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let tracer = StreamTracer {
        tracer: Arc::clone(&kept) as Arc<dyn Tracer>,
        stream: "default".into(),
    };
    (Tenure::start_traced(sink, tracer), kept)
}

fn submit(tenure: &Tenure, count: usize, trace: &TraceContext) -> Receipt {
    let (producer, trace) = (Producer::IsTold, Some(trace.clone()));
    let receipt = tenure.queue.submit_of(producer, trace, records(count));
    receipt.unwrap()
}

fn request(is_sampled: bool) -> TraceContext {
    TraceContext::root(TraceId::random(), is_sampled)
}

fn accepting() -> FakeSink {
    FakeSink::new("good", |_| Answer::Accept(Vec::new()))
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_request_is_below_it_with_each_attempt() {
    for places in [1, 4] {
        let busy = at_first(|| Answer::Fail(retryable(None)));
        let sink = FakeSink::new("busy", busy).with_places(places);
        let (tenure, kept) = start(&sink);
        let request = request(true);
        assert_eq!(rejected(submit(&tenure, 2, &request)).await, []);
        tenure.drained().await;
        let (span, writes) = kept.batch();
        assert_eq!(span.context.trace, request.trace);
        assert_eq!(span.parent.unwrap().span, request.span);
        assert_eq!(batch(&span).links, []);
        assert_eq!(batch(&span).epoch, EPOCH);
        assert_eq!(batch(&span).outcome, SpanOutcome::Accepted);
        let seen: Vec<_> = writes.iter().map(write).collect();
        let seen: Vec<_> = seen.iter().map(|w| (w.attempt, w.outcome)).collect();
        let expected = [(1, SpanOutcome::Retried), (2, SpanOutcome::Accepted)];
        assert_eq!(seen, expected);
        for write in &writes {
            assert_eq!(write.parent.unwrap().span, span.context.span);
        }
        let handed_on: Vec<_> = sink
            .calls()
            .writes
            .iter()
            .map(|w| w.attempt.trace.clone())
            .collect();
        let handed_on: Vec<_> = handed_on
            .into_iter()
            .map(|scope| scope.unwrap().context)
            .collect();
        assert_eq!(
            handed_on,
            writes.into_iter().map(|w| w.context).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_several_requests_links_those_that_are_recorded() {
    let (tenure, kept) = start(&accepting());
    let requests: Vec<_> = (0..80).map(|number| request(number % 2 == 0)).collect();
    let receipts: Vec<_> = requests.iter().map(|r| submit(&tenure, 1, r)).collect();
    for receipt in receipts {
        assert!(matches!(
            outcome(receipt).await,
            Outcome::Acknowledged { .. }
        ));
    }
    tenure.drained().await;
    let (span, writes) = kept.batch();
    assert_eq!((span.parent, writes.len()), (None, 1));
    assert!(
        requests
            .iter()
            .all(|request| request.trace != span.context.trace)
    );
    let recorded = requests.iter().step_by(2).take(32).cloned();
    assert_eq!(batch(&span).links, recorded.collect::<Vec<_>>());
    assert_eq!(batch(&span).links_dropped, 8);
    assert_eq!(batch(&span).requests, 80);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_not_recorded_make_no_spans_and_are_handed_on() {
    for count in [1, 2] {
        let sink = accepting();
        let (tenure, kept) = start(&sink);
        let requests: Vec<_> = (0..count).map(|_| request(false)).collect();
        let receipts: Vec<_> = requests.iter().map(|r| submit(&tenure, 1, r)).collect();
        for receipt in receipts {
            outcome(receipt).await;
        }
        tenure.drained().await;
        assert!(kept.0.lock().unwrap().is_empty());
        let handed_on = sink.calls().writes[0]
            .attempt
            .trace
            .clone()
            .unwrap()
            .context;
        assert!(!handed_on.is_sampled());
        assert_eq!(handed_on.trace == requests[0].trace, count == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_batch_share_its_span() {
    // The whole batch breaks the sink; then one record is refused.
    let sink = FakeSink::new("picky", |calls| match calls.writes.len() {
        1 => Answer::Break(Broken::Trapped("unreachable".to_owned())),
        2 => Answer::Accept(vec![permanent(0)]),
        _ => Answer::Accept(Vec::new()),
    });
    let (tenure, kept) = start(&sink);
    let request = request(true);
    assert_eq!(rejected(submit(&tenure, 4, &request)).await, [(0, false)]);
    tenure.drained().await;
    let (span, writes) = kept.batch();
    let BatchWork {
        records,
        rejected,
        outcome,
        ..
    } = batch(&span);
    assert_eq!(
        (*records, *rejected, *outcome),
        (4, 1, SpanOutcome::Partial)
    );
    let kinds: Vec<_> = writes
        .iter()
        .map(|span| write(span).failure.as_ref().map(|failure| failure.kind))
        .collect();
    assert_eq!(kinds, [Some("trapped"), Some("permanent"), None]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_stopped_says_so() {
    for places in [1, 4] {
        let hanging = FakeSink::new("hanging", |_| Answer::Hang).with_places(places);
        let (tenure, kept) = start(&hanging);
        let receipt = submit(&tenure, 1, &request(true));
        tokio::time::sleep(super::tenure::SECOND).await;
        tenure.lease.revoke();
        tenure.ended().await;
        assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
        let (span, writes) = kept.batch();
        assert_eq!(batch(&span).outcome, SpanOutcome::Unknown);
        let [write_span] = &writes[..] else {
            panic!("{writes:?}")
        };
        assert_eq!(write(write_span).outcome, SpanOutcome::Cancelled);
    }
}
