//! An audit of acknowledgements: when each was decided, under which epoch.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::clock::BootTime;
use crate::record::RecordId;

/// A file with a line an acknowledged record: the reading of `CLOCK_BOOTTIME`
/// (in nanoseconds) that its lease check used, its epoch, its sequence. A line
/// is written before the acknowledgement is given.
#[derive(Debug)]
pub struct AckTrace(Mutex<File>);

impl AckTrace {
    /// Appends to `path`, which is made if it is missing.
    ///
    /// # Errors
    /// The file can not be opened for writing.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    pub(super) fn decided(
        &self,
        at: BootTime,
        records: impl Iterator<Item = RecordId>,
    ) -> io::Result<()> {
        let mut lines = String::new();
        for id in records {
            // Writing to a string does not fail.
            _ = writeln!(lines, "{} {} {}", at.as_nanos(), id.epoch, id.sequence);
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(lines.as_bytes())
    }
}
