//! An audit of acknowledgements: when each was decided, under which epoch.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sluice_types::clock::BootTime;
use sluice_types::files;
use sluice_types::record::RecordId;

/// Records that keep the id of an earlier epoch are numbered from here: above
/// any sequence, and exact as a floating-point number.
const EARLIER_EPOCHS_BASE: u64 = 1 << 52;

/// A file with one line per acknowledged record: the reading of
/// `CLOCK_BOOTTIME` (in nanoseconds) that its lease check used, the epoch under
/// which it was decided, and its sequence. A record from the dead letters or
/// from another node's journal keeps the id of an earlier epoch; it has a number
/// from 2^52 on instead. A line is written before the acknowledgement is given.
/// Streams may share a trace: no two tenures have the same epoch.
#[derive(Debug)]
pub struct AckTrace(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    file: File,
    next_of_earlier_epochs: u64,
}

impl AckTrace {
    /// Appends to the file at `path`, which is created if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = files::append_to(path)?;
        Ok(Self(Mutex::new(Lines {
            file,
            next_of_earlier_epochs: EARLIER_EPOCHS_BASE,
        })))
    }

    /// Writes the lines of records whose acknowledgement was decided now.
    pub(crate) fn decided(
        &self,
        at: BootTime,
        epoch: u64,
        records: impl Iterator<Item = RecordId>,
    ) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for id in records {
            let sequence = if id.epoch == epoch {
                id.sequence
            } else {
                state.next_of_earlier_epochs += 1;
                state.next_of_earlier_epochs
            };
            // Writing to a string does not fail.
            _ = writeln!(lines, "{} {epoch} {sequence}", at.as_nanos());
        }
        state.file.write_all(lines.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_earlier_epoch_is_traced_under_the_epoch_that_decided() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acks");
        let trace = AckTrace::append_to(&path).unwrap();
        let id = |epoch, sequence| RecordId { epoch, sequence };
        let ids = [id(5, 1), id(3, 1), id(3, 1), id(5, 2)];
        let at = BootTime::now();
        trace.decided(at, 5, ids.into_iter()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let traced: Vec<Vec<u64>> = text
            .lines()
            .map(|line| line.split(' ').map(|part| part.parse().unwrap()).collect())
            .collect();
        let now = at.as_nanos();
        let before = EARLIER_EPOCHS_BASE + 1;
        assert_eq!(
            traced,
            [
                [now, 5, 1],
                [now, 5, before],
                [now, 5, before + 1],
                [now, 5, 2]
            ]
        );
    }
}
