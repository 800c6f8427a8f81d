//! A sink that is compiled and linked, ready to be opened in microseconds.

use std::time::Duration;

use thiserror::Error;
use wasmtime::component::Component;

use super::bindings::LogSinkPre;
use super::engine::Engine;
use super::guest::Guest;
use super::instance::Instance;
use super::outcome::WriteError;
use super::stdout::NodeStdout;

/// Which sink it is, as people name it and as its bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where it came from, for example `builtin:stdout`.
    pub source: String,
    /// The SHA-256 of the component's bytes, in lower-case hex.
    pub sha256: String,
}

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

/// Why a component can not be a sink.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Not a component, or one that wasmtime refuses.
    #[error(
        "compile {source_name}: it is not a WebAssembly component \
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
    #[error("link {source_name}: it imports what Sluice does not offer")]
    Link {
        /// Where it came from.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It exports no sink.
    #[error(
        "use {source_name} as a sink: it does not export `sluice:sink/sink@0.1.0` \
         (see the WIT in wit/)"
    )]
    World {
        /// Where it came from.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
}

/// A compiled sink with its config.
pub struct Prepared {
    identity: Identity,
    config: String,
    limits: Limits,
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
    /// Compiles a component and checks that it is a sink. Compiling takes
    /// from tens of milliseconds to seconds: not for an async task.
    ///
    /// # Errors
    /// Says what is wrong with the component.
    pub fn compile(
        engine: &Engine,
        component: &[u8],
        identity: Identity,
        config: String,
        limits: Limits,
        stdout: NodeStdout,
    ) -> Result<Self, PrepareError> {
        let source_name = || identity.source.clone();
        let component = Component::from_binary(&engine.wasmtime, component).map_err(|cause| {
            PrepareError::Compile {
                source_name: source_name(),
                cause,
            }
        })?;
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
            config,
            limits,
            pre,
            stdout,
            _engine: engine.clone(),
        })
    }

    /// Which sink this is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes a fresh instance and calls its `open`.
    ///
    /// # Errors
    /// What `open` answered, or how it broke.
    pub async fn open(&self) -> Result<Instance, WriteError> {
        let stdout = self.stdout.for_instance();
        let guest = Guest::new(&self.identity.source, self.limits.memory, stdout.clone());
        Instance::open(&self.pre, guest, stdout, self.limits, &self.config).await
    }
}
