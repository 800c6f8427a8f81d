//! One running sink, and the deadline of each call.

use std::future::Future;
use std::time::{Duration, Instant};

use sluice_types::outcome::{Broken, Failure, Refusal, TimeLimit, WriteError};
use sluice_types::readable;
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, BoxFuture, SinkInstance};
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap};

use super::exports::{Exports, ExportsPre};
use super::guest::Guest;
use super::limits::{Limits, MAX_HOST_CALL};
use super::lower;
use super::refusals::Refused;
use super::stdout::InstanceStdout;
use super::ticker::TICK;

/// How much later than the epoch the timeout ends a call, so that a guest that
/// computes is ended by the epoch.
const GRACE: Duration = TICK.saturating_mul(10);

/// An opened sink. It must be dropped after a call that failed with [`Broken`],
/// and after a call whose future was dropped before it ended.
pub struct Instance {
    store: Store<Guest>,
    sink: Exports,
    stdout: InstanceStdout,
    limits: Limits,
    /// When the current call is stopped.
    deadline: Instant,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// Creates an instance. Its `open` must be called before any write.
    pub(super) async fn new(
        exports: &ExportsPre,
        mut guest: Guest,
        stdout: InstanceStdout,
        limits: Limits,
    ) -> Result<Self, Broken> {
        guest.ticks_left = ticks(limits.call);
        let mut store = Store::new(exports.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(MAX_HOST_CALL);
        store.epoch_deadline_callback(Guest::tick);
        store.set_epoch_deadline(1);
        // A start function can compute, wait or trap.
        let instantiated = within(limits.call, exports.instantiate(&mut store)).await;
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
        let opened = within(limit, sink.open(store, config)).await;
        classify(opened, store, limit, limit)??;
        self.flushed().await
    }

    /// The size of its memories and tables, in bytes. They never shrink, so it
    /// is the most that was used at a time.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().memory.used()
    }

    /// Offers a batch. The guest may compute for at most `compute`. Success means
    /// that every record that is not refused is safe as far as the sink knows,
    /// and that everything it wrote to stdout has left the node.
    ///
    /// # Errors
    /// The sink's failure of the whole batch, or how the instance broke.
    async fn offer(
        &mut self,
        attempt: Attempt,
        batch: &Records,
        compute: Duration,
    ) -> Result<Vec<Refusal>, WriteError> {
        let limit = self.limits.call;
        let compute = compute.min(limit);
        self.arm(compute);
        let Self { store, sink, .. } = self;
        store.data_mut().http.trace = attempt.trace.clone();
        let written = within(limit, sink.write(store, attempt, batch)).await;
        store.data_mut().http.trace = None;
        let refused = classify(written, store, limit, compute)??;
        self.flushed().await?;
        lower::refusals(refused, batch.len())
    }

    /// Calls the sink's `close` and drops the instance.
    async fn end(mut self) -> Result<(), WriteError> {
        let limit = self.limits.call;
        self.arm(limit);
        let Self { store, sink, .. } = &mut self;
        let closed = within(limit, sink.close(store)).await;
        classify(closed, store, limit, limit)?;
        self.flushed().await?;
        Ok(())
    }

    /// Starts the deadlines of a call.
    fn arm(&mut self, compute: Duration) {
        self.stdout.begin();
        self.deadline = Instant::now() + self.limits.call;
        self.store.data_mut().ticks_left = ticks(compute);
        self.store.set_epoch_deadline(1);
    }

    /// Waits until everything that the instance wrote to stdout has left the
    /// node, so that a sink cannot forget to flush.
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
            Err(_) => {
                self.store.data().refusals.count(Refused::Time);
                Err(Broken::Stuck(self.limits.call).into())
            }
        }
    }
}

impl SinkInstance for Instance {
    fn write<'a>(
        &'a mut self,
        attempt: Attempt,
        batch: &'a Records,
        compute: Duration,
    ) -> BoxFuture<'a, Result<Vec<Refusal>, WriteError>> {
        Box::pin(self.offer(attempt, batch, compute))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), WriteError>> {
        Box::pin(self.end())
    }
}

/// The number of whole ticks in this time.
fn ticks(compute: Duration) -> u32 {
    let ticks = compute.as_nanos() / TICK.as_nanos();
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Bounds a call that waits for the host. The epoch bounds one that computes.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Option<wasmtime::Result<T>> {
    tokio::time::timeout(limit + GRACE, call).await.ok()
}

/// Turns the end of a call into the instance's state. `ended` is `None` after a
/// timeout.
fn classify<T>(
    ended: Option<wasmtime::Result<T>>,
    store: &Store<Guest>,
    limit: Duration,
    compute: Duration,
) -> Result<T, Broken> {
    let refusals = &store.data().refusals;
    let error = match ended {
        None => {
            refusals.count(Refused::Time);
            // On a very busy machine ticks can be late, and the timeout comes first
            // for a guest that computes. Then a recent tick tells.
            let computed = store
                .data()
                .computed
                .is_some_and(|at| at.elapsed() < 2 * GRACE);
            return Err(if computed {
                spinning(limit, limit)
            } else {
                Broken::Stuck(limit)
            });
        }
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
    };
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            refusals.count(Refused::Time);
            return Err(spinning(compute, limit));
        }
        Some(Trap::StackOverflow) => refusals.count(Refused::Stack),
        _ => {}
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        let limit = format!("{} handles of one instance", store.data().handles());
        refusals.report(Refused::Handles, "one more handle than its limit", &limit);
    }
    let cause = cause(&error);
    Err(match store.data().memory.hit() {
        Some(limit) => Broken::OutOfMemory { limit, cause },
        None => Broken::Trapped(cause),
    })
}

/// The guest was still computing when it had computed for `compute`, of at most
/// `limit`.
fn spinning(compute: Duration, limit: Duration) -> Broken {
    Broken::Spinning {
        after: compute,
        limit: if compute < limit {
            TimeLimit::Shortened
        } else {
            TimeLimit::Manifest
        },
    }
}

/// The last error of the chain says what happened. Those before it are the
/// guest's backtrace, which is logged.
fn cause(error: &wasmtime::Error) -> String {
    tracing::debug!(trap = format!("{error:#}"), "a sink trapped");
    readable::error(error.root_cause())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_was_hit_is_named() {
        let limit = Duration::from_secs(10);
        let said = spinning(Duration::from_millis(100), limit).to_string();
        assert!(said.contains("after 100 ms (the shorter time"), "{said}");
        let said = spinning(limit, limit).to_string();
        assert!(
            said.contains("after 10000 ms (limits.write_timeout_ms)"),
            "{said}"
        );
    }

    #[test]
    fn a_time_is_counted_in_whole_ticks() {
        assert_eq!(ticks(TICK * 100 + TICK / 2), 100);
        assert_eq!(ticks(Duration::ZERO), 0);
        assert_eq!(ticks(Duration::MAX), u32::MAX);
    }
}
