//! What the child process does: limits itself, reads a component on stdin,
//! writes its machine code to stdout, and says on stderr what is wrong.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluice_types::error_chain::chain;
use thiserror::Error;

use super::limits::{CompileLimits, MAX_CODE};
use super::precompile::{PrecompileError, precompile};

/// The exit code for a component that is refused. What stands on stderr then is
/// the reason.
pub(super) const REFUSED: u8 = 3;
/// The exit code when memory ran out and the compiler noticed.
pub(super) const OUT_OF_MEMORY: u8 = 4;
const FAILED: u8 = 1;

/// How long after its processor time a child that ignores the end of it is
/// killed, in seconds.
const KILL_DELAY: u64 = 5;

#[derive(Debug, Error)]
enum ChildError {
    #[error("limit the compiler's {name}")]
    Limit {
        name: &'static str,
        #[source]
        cause: io::Error,
    },
    #[error("read the component")]
    Read(#[source] io::Error),
    #[error("write the machine code")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Compile(#[from] PrecompileError),
}

/// Compiles the component on stdin within these limits, and ends the process
/// with the code that this returns. Its process must do nothing else.
#[must_use]
pub fn compile_in_child(limits: CompileLimits) -> ExitCode {
    let Err(error) = compile(limits) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{}", chain(&error));
    ExitCode::from(match error {
        ChildError::Compile(PrecompileError::Refused(_)) => REFUSED,
        ChildError::Compile(PrecompileError::OutOfMemory) => OUT_OF_MEMORY,
        _ => FAILED,
    })
}

fn compile(limits: CompileLimits) -> Result<(), ChildError> {
    confine(limits)?;
    prefer_in_oom();
    let mut component = Vec::new();
    io::stdin()
        .read_to_end(&mut component)
        .map_err(ChildError::Read)?;
    let code = precompile(&component)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&code).map_err(ChildError::Write)?;
    stdout.flush().map_err(ChildError::Write)
}

/// Limits this process for good.
fn confine(limits: CompileLimits) -> Result<(), ChildError> {
    let seconds = limits.seconds();
    for (name, resource, soft, hard) in [
        // What is written to, and not what is only reserved.
        ("memory", Resource::Data, limits.memory, limits.memory),
        ("time", Resource::Cpu, seconds, seconds + KILL_DELAY),
        ("output", Resource::Fsize, MAX_CODE, MAX_CODE),
        // A crash must not fill the disk.
        ("core dumps", Resource::Core, 0, 0),
    ] {
        // A lower limit that the process was started with stays.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            current: Some(soft.min(most)),
            maximum: Some(hard.min(most)),
        };
        setrlimit(resource, limit).map_err(|errno| ChildError::Limit {
            name,
            cause: errno.into(),
        })?;
    }
    Ok(())
}

/// Has the kernel kill this process first when the machine or the container
/// runs out of memory. The limits hold without it, so a failure is ignored.
fn prefer_in_oom() {
    let opened = File::options().write(true).open("/proc/self/oom_score_adj");
    drop(opened.and_then(|mut file| file.write_all(b"1000")));
}
