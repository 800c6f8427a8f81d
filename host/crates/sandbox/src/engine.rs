//! What a process runs components with: wasmtime, and where code comes from.

use std::sync::Arc;

use bytes::Bytes;
use sluice_types::plugin::Identity;
use thiserror::Error;
use tokio::task::spawn_blocking;
use wasmtime::component::Linker;

use super::code::Code;
use super::compile::{CompileError, Compiler, engine};
use super::compiled::Compiled;
use super::guest::Guest;
use super::network::Network;
use super::prepare_error::PrepareError;
use super::ticker::Ticker;
use super::{views, wasi};

/// The first bytes of a core module. A component has another version there.
const CORE_MODULE_HEADER: &[u8] = b"\0asm\x01\0\0\0";

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

/// Loads components and interrupts running guests. A process has one.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Guest>>,
    compiler: Compiler,
    /// What sinks may reach.
    pub(super) network: Network,
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
    /// Sets up what guests can import, and the thread that interrupts them.
    /// Without `compiled`, each start compiles again.
    ///
    /// # Errors
    /// Wasmtime or the thread cannot be set up.
    pub fn new(
        compiler: Compiler,
        compiled: Option<Compiled>,
        network: Network,
    ) -> Result<Self, EngineError> {
        let wasmtime = engine().map_err(EngineError::Wasmtime)?;
        let mut linker = Linker::new(&wasmtime);
        wasi::add_to_linker(&mut linker).map_err(EngineError::Wasmtime)?;
        views::add_to_linker(&mut linker).map_err(EngineError::Wasmtime)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?;
        Ok(Self {
            wasmtime,
            linker: Arc::new(linker),
            compiler,
            network,
            compiled: compiled.map(Arc::new),
            _ticker: Arc::new(ticker),
        })
    }

    /// Loads a component that was compiled before; `None` if it was not. Blocks
    /// for as long as it takes to read the code.
    #[must_use]
    pub fn cached(&self, identity: &Identity) -> Option<Code> {
        let compiled = self.compiled.as_ref()?;
        let code = compiled.load(&self.wasmtime, &identity.sha256)?;
        Code::load(&self.wasmtime, code)
            .inspect_err(|error| {
                let plugin = &identity.source;
                tracing::warn!(plugin, %error, "a compiled component does not load; compiling it again");
            })
            .ok()
    }

    /// Compiles a component, and keeps the code on disk. Stops compiling when the
    /// future is dropped. The threads that poll it must live as long as the
    /// process.
    ///
    /// # Errors
    /// The bytes are not a component, or compiling them costs too much.
    pub async fn compile(
        &self,
        component: Bytes,
        identity: &Identity,
    ) -> Result<Code, PrepareError> {
        let source_name = &identity.source;
        if component.starts_with(CORE_MODULE_HEADER) {
            return Err(PrepareError::CoreModule(source_name.clone()));
        }
        let (engine, sha256) = (self.clone(), identity.sha256.clone());
        let compiled = async move {
            let code = engine.compiler.compile(component).await?;
            let kept = spawn_blocking(move || {
                if let Some(compiled) = &engine.compiled {
                    compiled.save(&engine.wasmtime, &sha256, &code);
                }
                Code::load(&engine.wasmtime, code)
            });
            kept.await
                .map_err(CompileError::Panicked)?
                .map_err(CompileError::Load)
        };
        compiled.await.map_err(|error| match error {
            CompileError::Refused(cause) => PrepareError::Refused {
                source_name: source_name.clone(),
                cause,
            },
            cause => PrepareError::Compile {
                source_name: source_name.clone(),
                cause,
            },
        })
    }
}
