//! Compiles components.

use std::sync::Arc;

use sluice_types::plugin::Identity;
use thiserror::Error;
use wasmtime::Config;
use wasmtime::component::{Component, Linker};

use super::compiled::Compiled;
use super::guest::Guest;
use super::prepare_error::PrepareError;
use super::ticker::Ticker;
use super::wasi;

/// Why the engine could not be set up.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Wasmtime refuses its configuration on this machine.
    #[error("set up the WebAssembly engine")]
    Wasmtime(#[source] wasmtime::Error),
    /// The thread that interrupts guests cannot be started.
    #[error("start the thread that interrupts sinks")]
    Ticker(#[source] std::io::Error),
}

/// Compiles components and interrupts running guests. A process has one.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Guest>>,
    /// Keeps compiled components on disk, if the node has a place for them.
    compiled: Option<Arc<Compiled>>,
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets up the compiler, what guests can import, and the thread that
    /// interrupts them. Without `compiled`, each start compiles again.
    ///
    /// # Errors
    /// Wasmtime or the thread cannot be set up.
    pub fn new(compiled: Option<Compiled>) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let wasmtime = wasmtime::Engine::new(&config).map_err(EngineError::Wasmtime)?;
        let mut linker = Linker::new(&wasmtime);
        wasi::add_to_linker(&mut linker).map_err(EngineError::Wasmtime)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?;
        Ok(Self {
            wasmtime,
            linker: Arc::new(linker),
            compiled: compiled.map(Arc::new),
            _ticker: Arc::new(ticker),
        })
    }

    /// Compiles a component, or loads it if it was compiled before.
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
        // Threads of lower priority, so that compiling does not slow down delivery.
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|_| "compile".to_owned())
            .start_handler(|_| lower_priority())
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

/// Lowers the priority of the calling thread: on Linux, that is what setting
/// the priority of the calling process does.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "could not lower the priority of a compiling thread");
    }
}
