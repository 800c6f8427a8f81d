//! The runtimes of commands.

use std::io;
use std::process::ExitCode;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use super::failure::Failure;

#[derive(Debug, Error)]
#[error("start the runtime")]
pub(super) struct RuntimeError(#[source] io::Error);

/// A runtime on the calling thread.
pub(super) fn single_threaded() -> Result<Runtime, RuntimeError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(RuntimeError)
}

/// Runs a command to its end.
pub(super) fn block_on(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    single_threaded()?.block_on(command)
}
