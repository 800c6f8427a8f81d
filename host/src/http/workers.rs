//! The threads that serve connections.
//!
//! Each has a runtime of its own. The first is the thread of the node itself,
//! which also delivers; the others take connections that it has no time for.

use std::cell::{Cell, OnceCell};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};

use super::balance::Balance;

/// After how many turns of connections it is measured how long one takes.
const TURNS: u32 = 64;

thread_local! {
    static HERE: Here = const { Here::new() };
}

/// What is known of the current thread.
struct Here {
    number: Cell<usize>,
    /// Turns of connections since the last measurement.
    turns: Cell<u32>,
    /// Wakes the task that measures, if there are other threads.
    measuring: OnceCell<Arc<Notify>>,
    asked_at: Cell<Option<Instant>>,
    /// Where the next connection moves to.
    next: Cell<Option<usize>>,
}

impl Here {
    const fn new() -> Self {
        Self {
            number: Cell::new(0),
            turns: Cell::new(0),
            measuring: OnceCell::new(),
            asked_at: Cell::new(None),
            next: Cell::new(None),
        }
    }
}

/// The number of the current thread.
pub(super) fn number() -> usize {
    HERE.with(|here| here.number.get())
}

/// Counts a turn of a connection on the current thread. Returns the thread that
/// the connection should move to, if any.
pub(super) fn took_turn() -> Option<usize> {
    HERE.with(|here| {
        let measuring = here.measuring.get()?;
        let turns = here.turns.get() + 1;
        here.turns.set(turns);
        if turns >= TURNS && here.asked_at.get().is_none() {
            here.turns.set(0);
            here.asked_at.set(Some(Instant::now()));
            measuring.notify_one();
        }
        here.next.take()
    })
}

/// Moves the connection that has the current turn, or else the next one.
#[cfg(test)]
pub(super) fn move_to(thread: usize) {
    HERE.with(|here| here.next.set(Some(thread)));
}

/// Where connections are served.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<[Handle]>);

/// Keeps the further threads running until it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerThreads(#[expect(dead_code, reason = "held")] Vec<oneshot::Sender<()>>);

impl Workers {
    /// The current runtime alone.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self(Arc::new([Handle::current()]))
    }

    /// The current runtime, which must run on one thread, and further ones:
    /// `threads` together.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub(crate) fn start(threads: usize) -> io::Result<(Self, WorkerThreads)> {
        let mut handles = vec![Handle::current()];
        let mut runtimes = Vec::new();
        for _ in 1..threads {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            runtimes.push(runtime);
        }
        let workers = Self(handles.into());
        let mut running = Vec::new();
        for (number, runtime) in (1..).zip(runtimes) {
            let (stop, stopped) = oneshot::channel::<()>();
            let measuring = workers.clone();
            thread::Builder::new()
                .name(format!("http-{number}"))
                .spawn(move || {
                    runtime.block_on(async {
                        tokio::select! {
                            () = measuring.balance(number) => {}
                            _ = stopped => {}
                        }
                    });
                    runtime.shutdown_background();
                })?;
            running.push(stop);
        }
        if threads > 1 {
            tokio::spawn(workers.clone().balance(0));
        }
        Ok((workers, WorkerThreads(running)))
    }

    /// The thread that a new connection begins on. Called on the first thread.
    pub(super) fn for_a_new_one(&self) -> usize {
        HERE.with(|here| here.next.get()).unwrap_or_default()
    }

    /// The runtime of a thread.
    pub(super) fn runtime(&self, number: usize) -> Option<&Handle> {
        self.0.get(number)
    }

    /// Decides again and again which thread the connections of the current one
    /// should be on. Never returns.
    async fn balance(self, number: usize) {
        let measuring = HERE.with(|here| {
            here.number.set(number);
            Arc::clone(here.measuring.get_or_init(Arc::default))
        });
        let mut balance = Balance::new(number, self.busy(), Instant::now());
        loop {
            measuring.notified().await;
            let now = Instant::now();
            HERE.with(|here| {
                let waited = here.asked_at.take().map(|asked_at| now - asked_at);
                let waited = waited.unwrap_or_default();
                here.next.set(balance.next(TURNS, waited, now, self.busy()));
            });
        }
    }

    /// For how long each thread has been busy so far.
    fn busy(&self) -> impl Iterator<Item = Duration> + '_ {
        let metrics = self.0.iter().map(Handle::metrics);
        metrics.map(|metrics| metrics.worker_total_busy_duration(0))
    }
}
