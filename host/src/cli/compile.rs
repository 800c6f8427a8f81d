//! `sluice compile`: what a node runs to compile a sink, in a process of its own.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::parent::end_with;
use sluice_sandbox::{CompileLimits, CompileProgram, Compiler, compile_in_child};

/// This program: whatever file it was started from, also one that has been
/// replaced since, and also in an image with nothing else in it.
const THIS_PROGRAM: &str = "/proc/self/exe";
const NAME: &str = "compile";
/// Without it the allocator takes a gibibyte at once, and a limit on memory means
/// little.
const ALLOCATOR_SETTING: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

#[derive(Debug, Args)]
pub(super) struct CompileArgs {
    /// The process that this one ends with
    #[arg(long)]
    parent: u32,

    /// The most memory, in bytes
    #[arg(long)]
    memory: u64,

    /// The most processor time, in seconds
    #[arg(long)]
    seconds: u64,
}

/// Compiles sinks of this machine, within the limits that nodes have by default.
pub(super) fn as_a_node() -> Compiler {
    Compiler::Child(program(CompileLimits {
        memory: 2 << 30,
        time: Duration::from_secs(120),
    }))
}

/// How a node compiles a sink.
pub(super) fn program(limits: CompileLimits) -> CompileProgram {
    let (name, value) = ALLOCATOR_SETTING;
    CompileProgram {
        program: THIS_PROGRAM.into(),
        arguments: vec![NAME.to_owned()],
        variables: vec![(name.to_owned(), value.to_owned())],
        limits,
    }
}

pub(super) fn run(args: &CompileArgs) -> Result<ExitCode, Failure> {
    end_with(args.parent)?;
    Ok(compile_in_child(CompileLimits {
        memory: args.memory,
        time: Duration::from_secs(args.seconds),
    }))
}
