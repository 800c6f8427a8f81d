//! The compiler and the clock that stops runaway guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use wasmtime::Config;
use wasmtime::component::{Component, Linker};

use super::compiled::Compiled;
use super::guest::Guest;
use sluice_types::plugin::Identity;

use super::prepared::PrepareError;

/// How often a running guest is interrupted to let other tasks run and to look
/// at its deadline.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What could not be set up.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Wasmtime does not run on this machine as configured.
    #[error("set up the WebAssembly engine")]
    Wasmtime(#[source] wasmtime::Error),
    /// No thread for the clock.
    #[error("start the thread that interrupts runaway sinks")]
    Ticker(#[source] std::io::Error),
}

/// Compiles components; one a process.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Guest>>,
    /// Where compiled components are kept, if anywhere.
    compiled: Option<Arc<Compiled>>,
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets up the compiler, what guests may import, and the clock.
    ///
    /// # Errors
    /// Says which of these could not be had.
    pub fn new(compiled: Option<Compiled>) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let wasmtime = wasmtime::Engine::new(&config).map_err(EngineError::Wasmtime)?;
        let mut linker = Linker::new(&wasmtime);
        // All of WASI's command world is linked, so that what toolchains make
        // loads; what is not granted to a guest is refused when it is called.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(EngineError::Wasmtime)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?;
        Ok(Self {
            wasmtime,
            linker: Arc::new(linker),
            compiled: compiled.map(Arc::new),
            _ticker: Arc::new(ticker),
        })
    }

    /// The component, compiled now or before.
    pub(super) fn component(
        &self,
        bytes: &[u8],
        identity: &Identity,
    ) -> Result<Component, PrepareError> {
        let Identity { source, sha256 } = identity;
        let kept = |compiled: &Arc<Compiled>| compiled.load(&self.wasmtime, sha256);
        if let Some(component) = self.compiled.as_ref().and_then(kept) {
            return Ok(component);
        }
        // What serves meanwhile goes first.
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|_| "compile".to_owned())
            .start_handler(|_| be_nice())
            .build()
            .map_err(PrepareError::Threads)?;
        let component = threads.install(|| Component::from_binary(&self.wasmtime, bytes));
        let component = component.map_err(|cause| PrepareError::Compile {
            source_name: source.clone(),
            cause,
        })?;
        if let Some(compiled) = &self.compiled {
            compiled.save(&self.wasmtime, sha256, &component);
        }
        Ok(component)
    }
}

/// Lowers the priority of the calling thread, which is what Linux does with
/// the priority of "this process".
fn be_nice() {
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "could not lower the priority of a compiling thread");
    }
}

/// The thread that advances the engine's epoch; joined when dropped.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::park_timeout(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the epoch thread had panicked");
            }
        }
    }
}
