//! The sandbox: runs a sink's component in instances that can be thrown away.
//!
//! [`Engine`] loads a component's [`Code`] from [`Compiled`] on disk, or has a
//! [`Compiler`] make it. Linked, that is a [`Prepared`] sink, which opens
//! [`Instance`]s, each with a store of its own and only what it is granted. Each
//! call has a deadline and a memory limit, and an instance that broke is
//! dropped, never reused. Sinks of every released version of the WIT are run.

mod bindings;
mod code;
mod compile;
mod compiled;
mod core_instances;
mod directory;
mod engine;
mod exports;
mod grant_error;
mod grants;
mod guest;
mod instance;
mod interfaces;
mod limits;
mod lower;
mod memory_limit;
mod network;
mod prepare_error;
mod prepared;
mod refusals;
mod setup;
mod stderr;
mod stderr_rate;
mod stdout;
mod ticker;
mod views;
mod wasi;

pub use code::Code;
pub use compile::{
    CompileError, CompileLimit, CompileLimits, CompileProgram, Compiler, Refusal, compile_in_child,
};
pub use compiled::{Compiled, CompiledError};
pub use core_instances::core_instances;
pub use directory::Directory;
pub use engine::{Engine, EngineError};
pub use grant_error::GrantError;
pub use grants::Grants;
pub use instance::Instance;
pub use interfaces::{Interfaces, NotComponent};
pub use limits::{Limits, MAX_CONCURRENCY, MAX_HANDLES, MAX_SINK_HANDLES};
pub use network::{
    Allowed, MAX_CONNECTIONS, MAX_REQUESTS, Network, NetworkCeiling, SecretError, SecretFile,
    SecretHeader, SecretUse, Secrets, Signing, TrustError, client_tls,
};
pub use prepare_error::PrepareError;
pub use prepared::Prepared;
pub use refusals::{Refusals, Refused};
pub use setup::Setup;
pub use stdout::NodeStdout;
pub use views::{TooLarge, json_lines, text_lines};
