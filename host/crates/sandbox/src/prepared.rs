//! A sink that is compiled and linked, ready to be opened in microseconds.

use std::time::Duration;

use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::bindings::LogSinkPre;
use super::engine::Engine;
use super::grants::{GrantError, Grants};
use super::guest::Guest;
use super::instance::Instance;
use super::stdout::{InstanceStdout, NodeStdout};
use sluice_types::error_chain::chain;
use sluice_types::outcome::{Broken, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink, SinkInstance};

/// How a core module begins; a component has another version there.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What every instance may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes.
    pub memory: usize,
    /// The time for one `write`, `open` or `close`.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            call: Duration::from_secs(10),
        }
    }
}

/// What a sink is run with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// For its `open`.
    pub config: String,
    /// What it may use at most.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
}

/// Why a component can not be a sink.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// A plain module.
    #[error(
        "use {0} as a sink: it is a core WebAssembly module, not a component; build it with \
         cargo build --release --target wasm32-wasip2"
    )]
    CoreModule(String),
    /// Not a component, or one that wasmtime refuses.
    #[error(
        "compile {source_name}: it is not a WebAssembly component, or not a whole one \
         (build it for the target wasm32-wasip2)"
    )]
    Compile {
        /// Where it came from.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It imports something that no sink is given.
    #[error(
        "link {source_name}: it imports what Sluice does not offer; a sink may import \
         sluice:sink@0.1 and WASI 0.2 without wasi:http"
    )]
    Link {
        /// Where it came from.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It exports no sink.
    #[error(
        "use {source_name} as a sink: it does not export sluice:sink/sink@0.1.0; its world must \
         be log-sink of wit/sink.wit"
    )]
    World {
        /// Where it came from.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It may not have what it is to be given.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// It breaks before its first call.
    #[error("start {source_name}")]
    Start {
        /// Where it came from.
        source_name: String,
        /// How.
        #[source]
        cause: WriteError,
    },
    /// No threads to compile on.
    #[error("start the threads that compile sinks")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}

/// A compiled sink with all that it is run with.
pub struct Prepared {
    identity: Identity,
    setup: Setup,
    pre: LogSinkPre<Guest>,
    stdout: NodeStdout,
    /// Kept for its clock, without which nothing interrupts the guest.
    _engine: Engine,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// Compiles a component, unless that was done before, and checks that it
    /// is a sink. Takes up to seconds: not for an async task.
    ///
    /// # Errors
    /// Says what is wrong with the component.
    pub fn compile(
        engine: &Engine,
        component: &[u8],
        identity: Identity,
        setup: Setup,
        stdout: NodeStdout,
    ) -> Result<Self, PrepareError> {
        let source_name = || identity.source.clone();
        if component.starts_with(CORE_MODULE) {
            return Err(PrepareError::CoreModule(source_name()));
        }
        let component = engine.component(component, &identity)?;
        let linked =
            engine
                .linker
                .instantiate_pre(&component)
                .map_err(|cause| PrepareError::Link {
                    source_name: source_name(),
                    cause,
                })?;
        let pre = LogSinkPre::new(linked).map_err(|cause| PrepareError::World {
            source_name: source_name(),
            cause,
        })?;
        Ok(Self {
            identity,
            setup,
            pre,
            stdout,
            _engine: engine.clone(),
        })
    }

    /// Makes an instance and drops it: whatever can go wrong before `open`
    /// shows now.
    ///
    /// # Errors
    /// Says what it may not have, or how it broke.
    pub async fn try_out(&self) -> Result<(), PrepareError> {
        let (guest, stdout) = self.guest().await?;
        let made = Instance::new(&self.pre, guest, stdout, self.setup.limits).await;
        made.map(drop).map_err(|broken| PrepareError::Start {
            source_name: self.identity.source.clone(),
            cause: broken.into(),
        })
    }

    /// Makes a fresh instance and calls its `open`.
    async fn open_instance(&self) -> Result<Instance, WriteError> {
        let (guest, stdout) = self
            .guest()
            .await
            .map_err(|error| Broken::Denied(chain(&error)))?;
        let limits = self.setup.limits;
        let mut instance = Instance::new(&self.pre, guest, stdout, limits).await?;
        instance.open(&self.setup.config).await?;
        Ok(instance)
    }

    async fn guest(&self) -> Result<(Guest, InstanceStdout), GrantError> {
        let Setup { limits, grants, .. } = &self.setup;
        let granted = if grants.directories.is_empty() {
            grants.open()?
        } else {
            // Not here: a directory can lie on a disk that does not answer.
            let grants = grants.clone();
            let opening = spawn_blocking(move || grants.open());
            timeout(limits.call, opening)
                .await
                .map_err(|_| GrantError::Slow(limits.call))?
                .map_err(GrantError::Panicked)??
        };
        let stdout = self.stdout.for_instance();
        let source = &self.identity.source;
        let guest = Guest::new(source, limits.memory, &granted, stdout.clone())?;
        Ok((guest, stdout))
    }
}

impl Sink for Prepared {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        Box::pin(async {
            let instance: Box<dyn SinkInstance> = Box::new(self.open_instance().await?);
            Ok(instance)
        })
    }
}
