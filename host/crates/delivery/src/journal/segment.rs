//! One file of a journal.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment's file is named by the number of its first entry, with this
/// extension.
const EXTENSION: &str = "journal";

/// A file of the journal.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The number of the first entry.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// The position where the last frame ends.
    pub(super) bytes: u64,
}

impl Segment {
    /// The path of the segment that starts with this entry.
    pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.{EXTENSION}"))
    }

    /// The first entry of the segment at this path; `None` if its name is not
    /// a segment's.
    pub(super) fn first_of(path: &Path) -> Option<u64> {
        let is_segment = path.extension().is_some_and(|found| found == EXTENSION);
        let first = path.file_stem()?.to_str()?.parse().ok()?;
        is_segment.then_some(first)
    }
}
