//! A sink whose answers a test decides, and which remembers what it was asked.

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{ActiveSink, SinkSwap, Watch};
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::records::Records;
use sluice_types::retry_after::RetryAfter;
use sluice_types::sink::{Attempt, BoxFuture, Sink, SinkInstance};

/// The most writes that a test may need.
const WRITES_MAX: usize = 10_000;

/// How a fake sink answers a write.
pub(super) enum Answer {
    /// Takes everything except these.
    Accept(Vec<Refusal>),
    /// The same, after this time.
    AcceptAfter(Duration, Vec<Refusal>),
    Fail(Failure),
    Break(Broken),
    BreakAfter(Duration, Broken),
    Hang,
}

/// One call of `write`.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) at: Instant,
    pub(super) attempt: Attempt,
    pub(super) sequences: Vec<u64>,
    pub(super) compute: Duration,
}

/// What a fake sink was asked so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) opens: usize,
    pub(super) writes: Vec<Write>,
    /// The records that were confirmed.
    pub(super) confirmed: Vec<u64>,
    /// The writes that are under way.
    pub(super) under_way: usize,
    /// The most that were under way at a time.
    pub(super) most: usize,
}

type Script = Box<dyn Fn(&Calls) -> Answer + Send + Sync>;

struct Shared {
    script: Script,
    calls: Mutex<Calls>,
    opening: Opening,
}

/// How a fake sink opens another instance.
#[derive(Clone, Copy)]
enum Opening {
    Works,
    Hangs,
    /// It asks to wait this long the first time.
    Later(RetryAfter),
    Fails,
}

/// A sink that answers by its script, which sees all calls including the
/// current one.
#[derive(Clone)]
pub(super) struct FakeSink {
    identity: Arc<Identity>,
    shared: Arc<Shared>,
    /// How many writes it takes at a time.
    places: NonZero<usize>,
}

/// Counts a write as under way.
struct UnderWay<'a>(&'a FakeSink);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.calls().under_way -= 1;
    }
}

impl FakeSink {
    pub(super) fn new(
        name: &str,
        script: impl Fn(&Calls) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::build(name, script, Opening::Works)
    }

    /// A sink that has an instance at first, but opens no other one.
    pub(super) fn that_never_reopens(
        script: impl Fn(&Calls) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::build("stuck", script, Opening::Hangs)
    }

    /// A sink that asks once to be opened later.
    pub(super) fn that_reopens_later(
        after: RetryAfter,
        script: impl Fn(&Calls) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::build("late", script, Opening::Later(after))
    }

    /// A sink that has an instance at first, and fails to open another one.
    pub(super) fn that_opens_no_more(
        script: impl Fn(&Calls) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::build("closed", script, Opening::Fails)
    }

    /// Takes this many writes at a time.
    pub(super) fn with_places(mut self, places: usize) -> Self {
        self.places = NonZero::new(places).unwrap();
        self
    }

    fn build(
        name: &str,
        script: impl Fn(&Calls) -> Answer + Send + Sync + 'static,
        opening: Opening,
    ) -> Self {
        let identity = Identity {
            source: name.to_owned(),
            sha256: String::new(),
        };
        let shared = Shared {
            script: Box::new(script),
            calls: Mutex::default(),
            opening,
        };
        Self {
            identity: Arc::new(identity),
            shared: Arc::new(shared),
            places: NonZero::<usize>::MIN,
        }
    }

    /// A sink that accepts everything at once.
    pub(super) fn accepting(name: &str) -> Self {
        Self::new(name, |_| Answer::Accept(Vec::new()))
    }

    /// With an open instance.
    pub(super) fn active(&self) -> ActiveSink {
        ActiveSink::new(Arc::new(self.clone()), Box::new(self.clone()))
    }

    /// A swap to this sink, and where the old one is returned.
    pub(super) fn swap(&self, watch: Watch) -> (SinkSwap, oneshot::Receiver<ActiveSink>) {
        let (old, returned) = oneshot::channel();
        let sink = self.active();
        (SinkSwap { sink, watch, old }, returned)
    }

    pub(super) fn opens(&self) -> usize {
        self.calls().opens
    }

    pub(super) fn writes(&self) -> Vec<Write> {
        self.calls().writes.clone()
    }

    /// The sequences of every write.
    pub(super) fn offered(&self) -> Vec<Vec<u64>> {
        let writes = self.writes();
        writes.into_iter().map(|write| write.sequences).collect()
    }

    /// The records that it confirmed, in that order.
    pub(super) fn confirmed(&self) -> Vec<u64> {
        self.calls().confirmed.clone()
    }

    /// The most writes that were under way at a time.
    pub(super) fn most(&self) -> usize {
        self.calls().most
    }

    /// The writes that are under way.
    pub(super) fn under_way(&self) -> usize {
        self.calls().under_way
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        let calls = self.shared.calls.lock();
        calls.unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> UnderWay<'_> {
        let mut calls = self.calls();
        calls.under_way += 1;
        calls.most = calls.most.max(calls.under_way);
        drop(calls);
        UnderWay(self)
    }

    fn confirm(&self, batch: &Records, refusals: &[Refusal]) {
        let is_confirmed = |index: &usize| !refusals.iter().any(|refusal| refusal.index == *index);
        let records = batch.iter().enumerate();
        let confirmed = records.filter(|(index, _)| is_confirmed(index));
        let confirmed = confirmed.map(|(_, record)| record.id.sequence);
        self.calls().confirmed.extend(confirmed);
    }

    fn answer(&self, attempt: Attempt, batch: &Records, compute: Duration) -> Answer {
        let mut calls = self.calls();
        // A loop that never waits fails its test instead of hanging it.
        assert!(calls.writes.len() < WRITES_MAX, "too many writes");
        calls.writes.push(Write {
            at: Instant::now(),
            attempt,
            sequences: batch.iter().map(|record| record.id.sequence).collect(),
            compute,
        });
        (self.shared.script)(&calls)
    }
}

impl fmt::Debug for FakeSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeSink({})", self.identity.source)
    }
}

impl Sink for FakeSink {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn concurrency(&self) -> NonZero<usize> {
        self.places
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        Box::pin(async {
            self.calls().opens += 1;
            match self.shared.opening {
                Opening::Later(after) if self.opens() == 1 => {
                    let (reason, after) = ("not yet".to_owned(), Some(after));
                    return Err(Failure::Retryable { reason, after }.into());
                }
                Opening::Fails => {
                    let (reason, after) = ("not now".to_owned(), None);
                    return Err(Failure::Retryable { reason, after }.into());
                }
                Opening::Hangs => std::future::pending::<()>().await,
                Opening::Works | Opening::Later(_) => {}
            }
            Ok(Box::new(self.clone()) as Box<dyn SinkInstance>)
        })
    }
}

impl SinkInstance for FakeSink {
    fn write<'a>(
        &'a mut self,
        attempt: Attempt,
        batch: &'a Records,
        compute: Duration,
    ) -> BoxFuture<'a, Result<Vec<Refusal>, WriteError>> {
        Box::pin(async move {
            let _under_way = self.begin();
            let answer = self.answer(attempt, batch, compute);
            if let Answer::AcceptAfter(time, _) | Answer::BreakAfter(time, _) = &answer {
                tokio::time::sleep(*time).await;
            }
            match answer {
                Answer::Accept(refusals) | Answer::AcceptAfter(_, refusals) => {
                    self.confirm(batch, &refusals);
                    Ok(refusals)
                }
                Answer::Fail(failure) => Err(failure.into()),
                Answer::Break(broken) | Answer::BreakAfter(_, broken) => Err(broken.into()),
                Answer::Hang => std::future::pending().await,
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), WriteError>> {
        Box::pin(async { Ok(()) })
    }
}
