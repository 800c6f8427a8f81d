//! Memory that the allocator keeps after it was freed.

/// Work that takes less than this leaves its memory to the allocator, in bytes.
const LARGE: usize = 4 << 20;

/// Returns to the system what is not used at the moment, after work that took
/// so many bytes, if that is much.
///
/// By itself the allocator keeps it for a second, so after some large requests
/// a node would have several times the memory that all requests may take
/// together. If it kept it for 10 ms only, the pages of usual batches would come
/// and go: these were up to a tenth slower.
pub(crate) fn return_after(bytes: usize) {
    if bytes >= LARGE {
        collect();
    }
}

#[expect(unsafe_code, reason = "a C function")]
fn collect() {
    // SAFETY: Any thread may call it at any time; it frees nothing that is used.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
