//! The `sluice` command.

use std::process::ExitCode;

/// Every request allocates; with the C library's allocator the throughput is
/// about a tenth lower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of mimalloc's option `purge_delay` in its `mimalloc.h`.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    return_memory_soon();
    sluice::cli::run()
}

/// Has the allocator return what is no longer used to the system after 100 ms. By
/// default it keeps that for a second, so after a few large requests a node
/// has several times the memory that all requests may take together. After 10 ms,
/// the pages of batches would come and go: 1000 NDJSON objects per request were a
/// tenth slower.
#[expect(unsafe_code, reason = "a C function")]
fn return_memory_soon() {
    // SAFETY: The function sets a number. It is not thread-safe, and there is no
    // other thread yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 100) }
}
