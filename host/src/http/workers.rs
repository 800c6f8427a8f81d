//! The threads that serve connections.
//!
//! Each has a runtime of its own. The first is the thread of the node itself,
//! which also delivers; the others take connections that it has no time for.

use std::cell::{Cell, OnceCell};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};

use super::balance::{Balance, Decision, Reading, TURNS_PER_MOVE, WINDOW};

thread_local! {
    static HERE: Here = const { Here::new() };
}

/// What is known of the current thread.
struct Here {
    number: Cell<usize>,
    /// Turns of connections since the last measurement.
    turns: Cell<u32>,
    /// Counts the windows in which its load is measured, from 1.
    window: Cell<u32>,
    /// How many connections had a turn in this one.
    active: Cell<u32>,
    /// Wakes the task that measures, if there are other threads.
    measuring: OnceCell<Arc<Notify>>,
    asked_at: Cell<Option<Instant>>,
    /// What was decided last, and when.
    decided: Cell<Option<(Decision, Instant)>>,
}

impl Here {
    const fn new() -> Self {
        Self {
            number: Cell::new(0),
            turns: Cell::new(0),
            window: Cell::new(1),
            active: Cell::new(0),
            measuring: OnceCell::new(),
            asked_at: Cell::new(None),
            decided: Cell::new(None),
        }
    }

    /// The last decision, while it is good.
    fn decision(&self) -> Option<(Decision, Instant)> {
        let (decision, at) = self.decided.get()?;
        if at.elapsed() < WINDOW {
            return Some((decision, at));
        }
        self.decided.set(None);
        None
    }

    /// Takes one of the moves that were decided.
    fn next_move(&self) -> Option<usize> {
        let (decision, at) = self.decision()?;
        let moves = decision.moves.checked_sub(1)?;
        self.decided.set(Some((Decision { moves, ..decision }, at)));
        Some(decision.thread)
    }
}

/// The number of the current thread.
pub(super) fn number() -> usize {
    HERE.with(|here| here.number.get())
}

/// The turns of one connection on one thread.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The window of the last one.
    window: u32,
}

impl Turns {
    /// Counts a turn on the current thread. Returns the thread that the connection
    /// is to move to, if any.
    pub(super) fn took(&mut self) -> Option<usize> {
        HERE.with(|here| {
            let measuring = here.measuring.get()?;
            if self.window != here.window.get() {
                self.window = here.window.get();
                here.active.set(here.active.get() + 1);
            }
            let turns = here.turns.get().saturating_add(1);
            here.turns.set(turns);
            if turns >= TURNS_PER_MOVE && here.asked_at.get().is_none() {
                here.asked_at.set(Some(Instant::now()));
                measuring.notify_one();
            }
            here.next_move()
        })
    }
}

/// Moves the connection that has the current turn, or else the next one.
#[cfg(test)]
pub(super) fn move_to(thread: usize) {
    let decision = Decision { thread, moves: 1 };
    HERE.with(|here| here.decided.set(Some((decision, Instant::now()))));
}

/// Where connections are served.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<[Worker]>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// How many connections had a turn in its last window.
    active: AtomicU32,
}

/// Keeps the further threads running until it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerThreads(#[expect(dead_code, reason = "held")] Vec<oneshot::Sender<()>>);

impl Workers {
    /// The current runtime alone.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self(Arc::new([Worker::new(Handle::current())]))
    }

    /// The current runtime, which must run on one thread, and further ones:
    /// `threads` together.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub(crate) fn start(threads: usize) -> io::Result<(Self, WorkerThreads)> {
        let mut workers = vec![Worker::new(Handle::current())];
        let mut running = Vec::new();
        for number in 1..threads {
            let (runtime, stop) = start(number)?;
            workers.push(Worker::new(runtime));
            running.push(stop);
        }
        let workers = Self(workers.into());
        if threads > 1 {
            for (number, worker) in workers.0.iter().enumerate() {
                worker.runtime.spawn(workers.clone().balance(number));
            }
        }
        Ok((workers, WorkerThreads(running)))
    }

    /// The thread that a new connection begins on. Called on the first thread.
    pub(crate) fn for_a_new_one(&self) -> usize {
        let decision = HERE.with(Here::decision);
        decision.map_or(0, |(decision, _)| decision.thread)
    }

    /// The runtime of a thread.
    pub(crate) fn runtime(&self, number: usize) -> Option<&Handle> {
        Some(&self.0.get(number)?.runtime)
    }

    /// Decides again and again which connections of the current thread move. Never
    /// returns.
    async fn balance(self, number: usize) {
        let measuring = HERE.with(|here| Arc::clone(here.measuring.get_or_init(Arc::default)));
        let mut balance = Balance::new(number, self.read(), Instant::now());
        loop {
            measuring.notified().await;
            HERE.with(|here| {
                let now = Instant::now();
                if balance.is_due(now) {
                    here.window.set(here.window.get().wrapping_add(1).max(1));
                    self.publish(number, here.active.take());
                    balance.measure(self.read(), now);
                }
                let waited = here.asked_at.take().map(|asked_at| now - asked_at);
                let decision = balance.decide(here.turns.take(), waited.unwrap_or_default());
                here.decided.set(decision.map(|decision| (decision, now)));
            });
        }
    }

    fn publish(&self, number: usize, active: u32) {
        if let Some(worker) = self.0.get(number) {
            worker.active.store(active, Ordering::Relaxed);
        }
    }

    fn read(&self) -> impl Iterator<Item = Reading> + '_ {
        self.0.iter().map(|worker| Reading {
            busy: worker.runtime.metrics().worker_total_busy_duration(0),
            active: worker.active.load(Ordering::Relaxed),
        })
    }
}

impl Worker {
    const fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            active: AtomicU32::new(0),
        }
    }
}

/// Starts a thread with a runtime, and returns that and what ends it when it is
/// dropped.
fn start(number: usize) -> io::Result<(Handle, oneshot::Sender<()>)> {
    let (started_in, started) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new()
        .name(format!("http-{number}"))
        .spawn(move || {
            HERE.with(|here| here.number.set(number));
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started_in.send(Err(error))),
            };
            drop(started_in.send(Ok(runtime.handle().clone())));
            // It ends without a message.
            drop(runtime.block_on(stopped));
            runtime.shutdown_background();
        })?;
    let runtime = started.recv().map_err(io::Error::other)??;
    Ok((runtime, stop))
}
