//! One running sink: a store, its bindings, and the deadline around each call.

use std::future::Future;
use std::time::{Duration, Instant};

use wasmtime::{Store, Trap};

use super::bindings::{Delivery, LogSink, LogSinkPre};
use super::engine::TICK;
use super::guest::Guest;
use super::lower;
use super::prepared::Limits;
use super::stdout::InstanceStdout;
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::record::LogRecord;
use sluice_types::sink::{Attempt, BoxFuture, SinkInstance};

/// An opened sink. After an error that is [`Broken`] it must be dropped; so it
/// must after a call whose future was dropped before it ended.
pub struct Instance {
    store: Store<Guest>,
    sink: LogSink,
    stdout: InstanceStdout,
    limits: Limits,
    /// When the running call is to be stopped.
    deadline: Instant,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes an instance; its `open` is still to be called.
    pub(super) async fn new(
        pre: &LogSinkPre<Guest>,
        mut guest: Guest,
        stdout: InstanceStdout,
        limits: Limits,
    ) -> Result<Self, Broken> {
        guest.ticks_left = ticks(limits.call);
        let mut store = Store::new(pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.epoch_deadline_callback(Guest::tick);
        store.set_epoch_deadline(1);
        // A start function may already compute or trap.
        let instantiated = within(limits.call, pre.instantiate_async(&mut store)).await;
        let sink = classify(instantiated, &store, limits.call, limits.call)?;
        Ok(Self {
            store,
            sink,
            stdout,
            limits,
            deadline: Instant::now(),
        })
    }

    /// Calls the sink's `open`.
    pub(super) async fn open(&mut self, config: &str) -> Result<(), WriteError> {
        let limit = self.limits.call;
        self.arm(limit);
        let Self { store, sink, .. } = self;
        let call = sink.sluice_sink_sink().call_open(&mut *store, config);
        let opened = within(limit, call).await;
        classify(opened, store, limit, limit)?.map_err(lower::failure)?;
        self.flushed().await
    }

    /// Offers a batch, and lets the guest compute for as long as `compute` says,
    /// at most. Ok means that every record which is not refused is safe as far
    /// as the sink can tell, and that what it wrote to stdout has left the node.
    ///
    /// # Errors
    /// What the sink answered for the whole batch, or how it broke.
    async fn offer(
        &mut self,
        attempt: Attempt,
        batch: &[LogRecord],
        compute: Duration,
    ) -> Result<Vec<Refusal>, WriteError> {
        let limit = self.limits.call;
        let compute = compute.min(limit);
        self.arm(compute);
        let Self { store, sink, .. } = self;
        let delivery = Delivery {
            epoch: attempt.epoch,
            attempt: attempt.number,
        };
        let attributes = lower::attributes(batch);
        let records = lower::records(batch, &attributes);
        let call = sink
            .sluice_sink_sink()
            .call_write(&mut *store, delivery, &records);
        let written = within(limit, call).await;
        let refused = classify(written, store, limit, compute)?.map_err(lower::failure)?;
        self.flushed().await?;
        lower::refusals(refused, batch.len())
    }

    /// Tells the sink that no more writes follow, and ends it.
    ///
    /// # Errors
    /// How it broke; nothing depends on it.
    async fn end(mut self) -> Result<(), WriteError> {
        let limit = self.limits.call;
        self.arm(limit);
        let Self { store, sink, .. } = &mut self;
        let closed = within(limit, sink.sluice_sink_sink().call_close(&mut *store)).await;
        classify(closed, store, limit, limit)?;
        self.flushed().await?;
        Ok(())
    }

    /// Starts the clocks of a call.
    fn arm(&mut self, compute: Duration) {
        self.stdout.begin();
        self.deadline = Instant::now() + self.limits.call;
        self.store.data_mut().ticks_left = ticks(compute);
        self.store.set_epoch_deadline(1);
    }

    /// Waits until what the instance wrote to stdout has left the node, so
    /// that no sink can forget to flush.
    async fn flushed(&mut self) -> Result<(), WriteError> {
        match tokio::time::timeout_at(self.deadline.into(), self.stdout.flushed()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let reason = format!("write to the node's stdout: {error}");
                Err(Failure::Retryable {
                    reason,
                    after: None,
                }
                .into())
            }
            Err(_) => Err(Broken::Stuck(self.limits.call).into()),
        }
    }
}

impl SinkInstance for Instance {
    fn write<'a>(
        &'a mut self,
        attempt: Attempt,
        batch: &'a [LogRecord],
        compute: Duration,
    ) -> BoxFuture<'a, Result<Vec<Refusal>, WriteError>> {
        Box::pin(self.offer(attempt, batch, compute))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), WriteError>> {
        Box::pin(self.end())
    }
}

/// How much later than the epoch the timeout speaks, so that the epoch is the
/// one to stop a guest that computes.
const GRACE: Duration = TICK.saturating_mul(10);

/// The ticks that a guest may compute through in so much time.
fn ticks(compute: Duration) -> u32 {
    let ticks = compute.as_nanos() / TICK.as_nanos();
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Bounds a call that waits for the host; the epoch bounds one that computes.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Option<wasmtime::Result<T>> {
    tokio::time::timeout(limit + GRACE, call).await.ok()
}

fn classify<T>(
    ended: Option<wasmtime::Result<T>>,
    store: &Store<Guest>,
    limit: Duration,
    compute: Duration,
) -> Result<T, Broken> {
    let error = match ended {
        None => {
            // On a machine so busy that no tick came in time, ask for the last.
            let computed = store
                .data()
                .computed
                .is_some_and(|at| at.elapsed() < 2 * GRACE);
            return Err(if computed {
                Broken::Spinning(limit)
            } else {
                Broken::Stuck(limit)
            });
        }
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
    };
    let memory = &store.data().memory;
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        Err(Broken::Spinning(compute))
    } else if memory.was_hit {
        Err(Broken::OutOfMemory {
            limit: memory.limit,
            cause: cause(&error),
        })
    } else {
        Err(Broken::Trapped(cause(&error)))
    }
}

/// The last link of the chain says what happened; the ones before it are the
/// guest's backtrace, which goes to the log.
fn cause(error: &wasmtime::Error) -> String {
    tracing::debug!(trap = format!("{error:#}"), "a sink trapped");
    error.root_cause().to_string()
}
