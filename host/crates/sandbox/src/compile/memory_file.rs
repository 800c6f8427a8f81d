//! Files in memory, which pass data from process to process.

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use thiserror::Error;

/// An empty file that only processes with its descriptor can reach.
///
/// # Errors
/// There is no descriptor left, or the system forbids such files.
pub(crate) fn memory_file(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |more| memfd_create(name, flags | more);
    // Nobody runs it as a program; some systems want that to be said. Before
    // Linux 6.3 it cannot be said.
    let created = match create(MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        created => created,
    };
    match created {
        Ok(file) => Ok(file.into()),
        Err(errno) => Err(io::Error::other(MemoryFileError(errno.into()))),
    }
}

/// Makes sure that nothing changes the file any more, also through another
/// descriptor.
///
/// # Errors
/// It is not a file in memory, or it is mapped to be written.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, all)?)
}

/// The system gives no file in memory.
#[derive(Debug, Error)]
#[error("create a file in memory (is memfd_create allowed?)")]
struct MemoryFileError(#[source] io::Error);

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sealed_file_cannot_be_changed() {
        let mut file = memory_file("test").unwrap();
        file.write_all(b"1").unwrap();
        let mut other = file.try_clone().unwrap();
        seal(&file).unwrap();
        assert!(other.write_all(b"2").is_err());
        assert!(other.set_len(0).is_err());
        assert_eq!(file.metadata().unwrap().len(), 1);
    }
}
