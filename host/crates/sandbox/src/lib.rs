//! The sandbox: one component, run as instances that can be thrown away.
//!
//! [`Engine`] compiles a component into a [`Prepared`] sink, or finds it
//! [`Compiled`] on disk; that opens [`Instance`]s, each with a store of its own
//! and what it is granted. Every call has a deadline and
//! a memory limit, and an instance that broke is dropped, never used again.

mod bindings;
mod compiled;
mod descriptor;
mod engine;
mod grants;
mod guest;
mod instance;
mod lower;
mod prepared;
mod stderr;
mod stdout;

pub use compiled::{Compiled, CompiledError};
pub use engine::{Engine, EngineError};
pub use grants::{Directory, GrantError, Grants};
pub use guest::HANDLES;
pub use instance::Instance;
pub use prepared::{Limits, PrepareError, Prepared, Setup};
pub use stdout::NodeStdout;
