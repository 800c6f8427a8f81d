//! Why a component was not compiled.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;
use tokio::task::JoinError;

use super::limits::CompileLimit;

/// The compiler's reason to refuse a component.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Refusal(pub(super) String);

/// Why a component was not compiled.
#[derive(Debug, Error)]
pub enum CompileError {
    /// It is not a component, or one that wasmtime does not support.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It costs too much.
    #[error("{0}; it is tried again when it is asked for again or its file changes")]
    Limit(CompileLimit),
    /// There is no compiler.
    #[error("start the compiler, {}{}", .program.display(), start_hint(.cause))]
    Start {
        /// The program that was to be run.
        program: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The component or the code could not be passed on.
    #[error("pass data to the compiler and back")]
    Transfer(#[source] io::Error),
    /// The compiler ended by itself, for another reason than a limit.
    #[error("the compiler ended with {status}: {said}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The beginning of what it wrote on stderr.
        said: String,
    },
    /// What the compiler made does not load.
    #[error("load what the compiler made")]
    Load(#[source] wasmtime::Error),
    /// The thread that waited for the compiler panicked.
    #[error("wait for the compiler; this is a defect, please report it")]
    Panicked(#[source] JoinError),
}

impl CompileError {
    /// Whether the component costs too much, so that trying again would fail in
    /// the same way.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::Limit(_))
    }
}

/// The program is this one, so it is always there.
fn start_hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => " (is /proc mounted?)",
        _ => "",
    }
}
