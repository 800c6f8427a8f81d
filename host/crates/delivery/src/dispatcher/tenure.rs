//! A dispatcher that runs, for tests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::fake_sink::{Answer, Calls, FakeSink};
use super::{Delivery, Dispatcher, Ended};
use crate::metrics::{Metrics, StreamMetrics};
use crate::testing::records;
use crate::{
    ActiveSink, DeadLetters, Outcome, ProbationTerms, Queue, QueueLimits, Receipt, SinkSwap, Stall,
    StreamTracer, Tail, Verdict, Watch,
};
use sluice_types::clock::BootTime;
use sluice_types::lease::Lease;
use sluice_types::outcome::{Broken, Failure, Refusal, TimeLimit};
use sluice_types::retry_after::RetryAfter;

pub(super) const EPOCH: u64 = 7;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const LIMITS: QueueLimits = QueueLimits {
    records: 10_000,
    bytes: 64 << 20,
};

/// A dispatcher that runs.
pub(super) struct Tenure {
    pub(super) queue: Arc<Queue>,
    pub(super) lease: Arc<Lease>,
    pub(super) swaps: mpsc::Sender<SinkSwap>,
    pub(super) metrics: Arc<StreamMetrics>,
    pub(super) letters: DeadLetters,
    pub(super) tail: Tail,
    pub(super) stall: watch::Receiver<Option<Stall>>,
    pub(super) running: JoinHandle<Ended>,
    pub(super) started: Instant,
    _folder: tempfile::TempDir,
}

impl Tenure {
    pub(super) fn start(sink: &FakeSink) -> Self {
        let end = BootTime::now() + 24 * HOUR;
        Self::start_under(Lease::new(EPOCH, BootTime::default(), end), sink)
    }

    pub(super) fn start_under(lease: impl Into<Arc<Lease>>, sink: &FakeSink) -> Self {
        Self::start_with(lease.into(), sink, None)
    }

    /// Starts one whose batches have spans.
    pub(super) fn start_traced(sink: &FakeSink, tracer: StreamTracer) -> Self {
        let end = BootTime::now() + 24 * HOUR;
        let lease = Lease::new(EPOCH, BootTime::default(), end);
        Self::start_with(lease.into(), sink, Some(tracer))
    }

    fn start_with(lease: Arc<Lease>, sink: &FakeSink, tracer: Option<StreamTracer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path().join("dead-letters"), 1 << 20).unwrap();
        let queue = Queue::new(EPOCH, LIMITS);
        let metrics = Metrics::new().stream("default");
        let tail = Tail::new();
        let (swaps_in, swaps) = mpsc::channel(1);
        let (stall_in, stall) = watch::channel(None);
        let mut dispatcher = Dispatcher::new(Delivery {
            queue: Arc::clone(&queue),
            lease: Arc::clone(&lease),
            sink: sink.active(),
            watch: Watch::Nothing,
            swaps,
            letters: letters.clone(),
            metrics: Arc::clone(&metrics),
            trace: None,
            tracer,
            tail: tail.clone(),
            stall: stall_in,
        });
        Self {
            queue,
            lease,
            swaps: swaps_in,
            metrics,
            letters,
            tail,
            stall,
            running: tokio::spawn(async move { dispatcher.run().await }),
            started: Instant::now(),
            _folder: folder,
        }
    }

    pub(super) fn submit(&self, count: usize) -> Receipt {
        self.queue.submit(records(count)).unwrap()
    }

    /// Submits a request whose producer was told that it is safe.
    pub(super) fn submit_acknowledged(&self, count: usize) -> Receipt {
        self.queue.submit_acknowledged(records(count)).unwrap()
    }

    /// Starts a swap, and returns the old sink.
    pub(super) async fn swap(&self, sink: &FakeSink) -> ActiveSink {
        self.swap_and_watch(sink, Watch::Nothing).await
    }

    /// Starts a swap to a sink that is on probation for a minute.
    pub(super) async fn try_out(&self, sink: &FakeSink) -> oneshot::Receiver<Verdict> {
        let (verdict, given) = oneshot::channel();
        let terms = ProbationTerms {
            time: 60 * SECOND,
            compares_times: true,
        };
        let watch = Watch::Probation { terms, verdict };
        drop(self.swap_and_watch(sink, watch).await);
        given
    }

    /// Starts a swap to a sink that gives a second opinion.
    pub(super) async fn ask(&self, sink: &FakeSink) -> oneshot::Receiver<Verdict> {
        let (verdict, given) = oneshot::channel();
        let watch = Watch::SecondOpinion {
            verdict,
            has_failed: false,
        };
        drop(self.swap_and_watch(sink, watch).await);
        given
    }

    async fn swap_and_watch(&self, sink: &FakeSink, watch: Watch) -> ActiveSink {
        let (swap, returned) = sink.swap(watch);
        self.swaps.send(swap).await.unwrap();
        timeout(HOUR, returned).await.unwrap().unwrap()
    }

    pub(super) async fn ended(self) -> Ended {
        timeout(HOUR, self.running).await.unwrap().unwrap()
    }

    /// Lets the dispatcher deliver what is queued, and waits for its end.
    pub(super) async fn drained(self) {
        self.queue.close("drained");
        assert_eq!(self.ended().await, Ended::Drained);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What keeps the delivery from making progress.
    pub(super) fn stall(&self) -> Option<Stall> {
        self.stall.borrow().clone()
    }
}

pub(super) fn retryable(after: Option<Duration>) -> Failure {
    let reason = "busy".to_owned();
    let after = after.map(RetryAfter::at_most);
    Failure::Retryable { reason, after }
}

pub(super) const fn spinning(after: Duration, limit: TimeLimit) -> Broken {
    Broken::Spinning { after, limit }
}

pub(super) fn permanent(index: usize) -> Refusal {
    let failure = Failure::Permanent("no".to_owned());
    Refusal { index, failure }
}

pub(super) fn trapped() -> Broken {
    Broken::Trapped("unreachable".to_owned())
}

/// The first write gets this answer, the others are accepted.
pub(super) fn at_first(
    answer: impl Fn() -> Answer + Send + Sync + 'static,
) -> impl Fn(&Calls) -> Answer + Send + Sync + 'static {
    move |calls| match calls.writes.len() {
        1 => answer(),
        _ => Answer::Accept(Vec::new()),
    }
}

/// The sequences that are offered now.
pub(super) fn offered_now(calls: &Calls) -> Vec<u64> {
    calls.writes.last().unwrap().sequences.clone()
}

pub(super) async fn outcome(receipt: Receipt) -> Outcome {
    timeout(HOUR, receipt).await.unwrap()
}

/// The indices that were rejected of an acknowledged request, and whether each
/// is kept. Has no time limit: paused time passes while the thread that keeps
/// dead letters works.
pub(super) async fn rejected(receipt: Receipt) -> Vec<(usize, bool)> {
    match receipt.await {
        Outcome::Acknowledged { epoch, rejected } => {
            assert_eq!(epoch, EPOCH);
            let pair = |rejection: &sluice_types::rejection::Rejection| {
                (rejection.index, rejection.is_kept)
            };
            rejected.iter().map(pair).collect()
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn assert_acknowledged(receipt: Receipt) {
    let acknowledged = Outcome::Acknowledged {
        epoch: EPOCH,
        rejected: Vec::new(),
    };
    assert_eq!(outcome(receipt).await, acknowledged);
}

pub(super) async fn assert_unknown(receipt: Receipt, reason: &str) {
    assert_eq!(outcome(receipt).await, Outcome::Unknown(reason.to_owned()));
}
