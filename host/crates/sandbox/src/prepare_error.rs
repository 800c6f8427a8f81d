use sluice_types::outcome::WriteError;
use thiserror::Error;

use super::grant_error::GrantError;

/// Why a component cannot be used as a sink.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// It is a core module.
    #[error(
        "use {0} as a sink: it is a core WebAssembly module, not a component; build it with \
         cargo build --release --target wasm32-wasip2"
    )]
    CoreModule(String),
    /// It is not a component, or wasmtime refuses it.
    #[error(
        "compile {source_name}: it is not a WebAssembly component, or not a whole one \
         (build it for the target wasm32-wasip2)"
    )]
    Compile {
        /// The component's source, as in its identity.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It imports something that sinks do not get.
    #[error(
        "link {source_name}: it imports what Sluice does not offer; a sink may import \
         sluice:sink@0.1 and WASI 0.2 without wasi:http"
    )]
    Link {
        /// The component's source, as in its identity.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It exports no sink.
    #[error(
        "use {source_name} as a sink: it does not export sluice:sink/sink@0.1.0; its world must \
         be log-sink from wit/sink.wit"
    )]
    World {
        /// The component's source, as in its identity.
        source_name: String,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
    /// It cannot get what it is granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// An instance breaks before its first call.
    #[error("start {source_name}")]
    Start {
        /// The component's source, as in its identity.
        source_name: String,
        /// How it breaks.
        #[source]
        cause: WriteError,
    },
    /// The threads that compile cannot be started.
    #[error("start the threads that compile a sink")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}
