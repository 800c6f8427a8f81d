//! Where components are compiled.

use std::fs::File;
use std::io::Write;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::error::{CompileError, Refusal};
use super::memory_file::memory_file;
use super::precompile::{PrecompileError, precompile};
use super::program::CompileProgram;
use sluice_types::error_chain::chain;

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In a child process with limits.
    Child(CompileProgram),
    /// In this process, without limits: for benchmarks and tests, whose program
    /// is another one and whose components are known.
    InProcess,
}

impl Compiler {
    /// Compiles a component, and returns a file with its machine code. Gives up
    /// when the future is dropped.
    pub(crate) async fn compile(&self, component: Bytes) -> Result<File, CompileError> {
        match self {
            Self::Child(program) => program.compile(component).await,
            Self::InProcess => spawn_blocking(move || compile_here(&component))
                .await
                .map_err(CompileError::Panicked)?,
        }
    }
}

fn compile_here(component: &[u8]) -> Result<File, CompileError> {
    let code = precompile(component).map_err(|error| match error {
        PrecompileError::Refused(refusal) => refusal,
        error => Refusal(chain(&error)),
    })?;
    let mut file = memory_file("code").map_err(CompileError::Transfer)?;
    file.write_all(&code).map_err(CompileError::Transfer)?;
    Ok(file)
}
