//! All that a sink has written so far, wherever.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use memchr::memmem;
use sluice_types::outcome::Refusal;
use sluice_types::records::Records;

use super::destination::Destination;
use super::samples::{MARK, MARK_BYTES, mark_of};
use super::stdout::KeptStdout;

/// How deep files are looked for.
const DEPTH: usize = 8;
/// A larger file is not looked at, in bytes.
const FILE_MAX: u64 = 256 << 20;

/// The marks of the records that are found in what a sink wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(HashSet<Vec<u8>>);

impl Marks {
    /// Those in stdout, in files of a folder, and in what arrived at a
    /// destination.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) fn of(
        stdout: &KeptStdout,
        folder: &Path,
        destination: &Destination,
    ) -> io::Result<Self> {
        let mut marks = Self::default();
        marks.find(&stdout.since(0)?);
        marks.find_in_files(folder, DEPTH)?;
        destination.each_taken(|body| marks.find(body));
        Ok(marks)
    }

    /// How many of the records that were not refused are there, and how many are
    /// not.
    pub(super) fn seen(&self, batch: &Records, refusals: &[Refusal]) -> (usize, usize) {
        let is_refused = |index: usize| refusals.iter().any(|refusal| refusal.index == index);
        let taken = batch.iter().enumerate();
        let taken = taken.filter(|(index, _)| !is_refused(*index));
        let found = taken.map(|(_, record)| {
            mark_of(record).is_some_and(|mark| self.0.contains(mark.as_bytes()))
        });
        let found: Vec<bool> = found.collect();
        let seen = found.iter().filter(|found| **found).count();
        (seen, found.len() - seen)
    }

    fn find(&mut self, bytes: &[u8]) {
        let found = memmem::find_iter(bytes, MARK.as_bytes());
        let whole = found.filter_map(|at| bytes.get(at..at + MARK_BYTES));
        self.0.extend(whole.map(<[u8]>::to_vec));
    }

    fn find_in_files(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() && depth > 0 {
                self.find_in_files(&entry.path(), depth - 1)?;
            } else if about.is_file() && about.len() <= FILE_MAX {
                self.find(&fs::read(entry.path())?);
            }
        }
        Ok(())
    }
}
