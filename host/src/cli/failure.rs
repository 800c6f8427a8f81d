//! Why a command failed, and how that is printed.

use std::process::ExitCode;

use sluice_types::error_chain::chain;

/// What a command returns when it fails. Its text continues "failed to".
pub(super) type Failure = Box<dyn std::error::Error>;

/// Prints the error with its causes on stderr.
pub(super) fn report(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("sluice: failed to {}", chain(error));
    ExitCode::from(code)
}
