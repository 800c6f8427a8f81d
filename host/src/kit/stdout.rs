//! A stdout for sinks whose text can be read back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use sluice_sandbox::NodeStdout;

/// The most that is read back at once, in bytes.
const READ_MAX: u64 = 256 << 20;

/// A stdout that keeps what is written in memory.
#[derive(Debug)]
pub(super) struct KeptStdout {
    pub(super) stdout: NodeStdout,
    file: File,
}

impl KeptStdout {
    /// # Errors
    /// There is no memory, or no thread.
    pub(super) fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("stdout", MemfdFlags::CLOEXEC)?);
        let stdout = NodeStdout::new(file.try_clone()?.into())?;
        Ok(Self { stdout, file })
    }

    /// How many bytes were written.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What was written from this byte on.
    pub(super) fn since(&self, start: u64) -> io::Result<Vec<u8>> {
        let length = self.length()?.saturating_sub(start).min(READ_MAX);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

impl Drop for KeptStdout {
    fn drop(&mut self) {
        self.stdout.close();
    }
}

/// A stdout that keeps nothing.
///
/// # Errors
/// It cannot be opened, or there is no thread.
pub(super) fn discarding() -> io::Result<NodeStdout> {
    NodeStdout::new(File::options().write(true).open("/dev/null")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_from_any_place() {
        let kept = KeptStdout::new().unwrap();
        kept.file.write_all_at(b"first second", 0).unwrap();
        assert_eq!(kept.length().unwrap(), 12);
        assert_eq!(kept.since(6).unwrap(), b"second");
        assert_eq!(kept.since(12).unwrap(), b"");
    }
}
