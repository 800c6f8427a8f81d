//! Files in memory, which pass data from process to process.

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// An empty file that only those can reach who have its descriptor.
///
/// # Errors
/// There is no descriptor left, or the system forbids such files.
pub(crate) fn memory_file(name: &str) -> io::Result<File> {
    let create = |flags| memfd_create(name, MemfdFlags::CLOEXEC | flags);
    // Nobody runs it as a program; some systems want that to be said. Before
    // Linux 6.3 it cannot be said.
    let created = match create(MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        created => created,
    };
    Ok(created?.into())
}
