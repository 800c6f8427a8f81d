//! The compiler itself, as the node and its child process set it up.

use std::thread::available_parallelism;

use sluice_types::error_chain::chain;
use thiserror::Error;
use wasmparser::{Parser, Payload};
use wasmtime::{Config, Engine, OutOfMemory};

use super::error::Refusal;

/// The most threads that compile: each needs memory of its own.
const MAX_THREADS: usize = 8;

/// Why nothing was compiled.
#[derive(Debug, Error)]
pub(super) enum PrecompileError {
    /// The component is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There was not enough memory.
    #[error("compile within the memory limit")]
    OutOfMemory,
    /// The threads cannot be started.
    #[error("start the threads that compile")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Wasmtime with the settings that machine code depends on.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Wasmtime's own backtraces do without it. Code without it is smaller, and
    // so is loaded sooner.
    config.native_unwind_info(false);
    config
}

/// The same for compiling this component. The places of instructions are a large
/// part of the code, and of use only where they lead to lines of a source.
fn engine_for(component: &[u8]) -> wasmtime::Result<Engine> {
    let mut config = config();
    config.generate_address_map(has_lines(component));
    Engine::new(&config)
}

/// Whether a component says which instruction comes from which line.
fn has_lines(component: &[u8]) -> bool {
    let mut sections = Parser::new(0).parse_all(component);
    sections.any(|section| {
        matches!(section, Ok(Payload::CustomSection(section)) if section.name() == ".debug_line")
    })
}

/// Compiles a component to machine code, on threads of low priority.
pub(super) fn precompile(component: &[u8]) -> Result<Vec<u8>, PrecompileError> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(cores.min(MAX_THREADS))
        .thread_name(|_| "compile".to_owned())
        .start_handler(|_| lower_priority())
        .build()?;
    let code = threads.install(|| engine_for(component)?.precompile_component(component));
    code.map_err(|error| match error.is::<OutOfMemory>() {
        true => PrecompileError::OutOfMemory,
        false => Refusal(chain(&*error)).into(),
    })
}

/// Lowers the priority of the calling thread: on Linux, that is what setting
/// the priority of the calling process does.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "could not lower the priority of a compiling thread");
    }
}
