use sluice_types::outcome::WriteError;
use thiserror::Error;

use super::compile::{CompileError, Refusal};
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
    /// It is not a component, or the compiler refuses it.
    #[error(
        "compile {source_name}: it is not a WebAssembly component, or not a whole one \
         (build it for the target wasm32-wasip2)"
    )]
    Refused {
        /// The component's source, as in its identity.
        source_name: String,
        /// The compiler's reason.
        #[source]
        cause: Refusal,
    },
    /// It costs too much to compile, or the compiler failed.
    #[error("compile {source_name}")]
    Compile {
        /// The component's source, as in its identity.
        source_name: String,
        /// What it exceeds, or how the compiler failed.
        #[source]
        cause: CompileError,
    },
    /// It imports something that sinks do not get.
    #[error(
        "link {source_name}: it imports what Sluice does not offer; a sink may import \
         sluice:sink, WASI 0.2 with wasi:http, and wasi:tls@0.2.0-draft"
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
        "use {source_name} as a sink: it exports neither sluice:sink/sink@0.2.0 nor \
         sluice:sink/sink@0.1.0 in full; its world must be log-sink from wit/0.2/sink.wit"
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
}

impl PrepareError {
    /// Whether the component costs too much to compile, so that trying again
    /// would fail in the same way.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::Compile { cause, .. } if cause.is_limit())
    }
}
