use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::args::Destination;
use crate::setup_error::SetupError;

/// The file of the numbers of acknowledged messages, one per line. Does nothing
/// without a file.
#[derive(Debug)]
pub(crate) struct Journal(Option<BufWriter<File>>);

impl Journal {
    pub(crate) fn open(destination: &Destination) -> Result<Self, SetupError> {
        let Some(file) = &destination.journal else {
            return Ok(Self(None));
        };
        let opened = File::options().create(true).append(true).open(file);
        let opened = opened.map_err(|cause| SetupError::File {
            file: file.clone(),
            cause,
        })?;
        Ok(Self(Some(BufWriter::new(opened))))
    }

    /// Adds the numbers from `first` to `last`, both included.
    pub(crate) fn acknowledged(&mut self, first: u64, last: u64) -> io::Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        (first..=last).try_for_each(|number| writeln!(file, "{number}"))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}
