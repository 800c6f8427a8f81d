//! The `sluice` command.

use std::process::ExitCode;

/// Every request allocates; the C library's allocator costs about a tenth of
/// the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sluice::cli::run()
}
