//! What a journal's folder holds: read when the journal is opened, and by
//! `sluice journal verify`.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Content, Frame, JournalId, Progress};
use super::scan::{Found, Scanner};
use super::segment::Segment;

/// Bytes of a file that are not frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The positions of the bytes.
    pub bytes: Range<u64>,
    /// Whether no frame follows: an unfinished write.
    pub is_tail: bool,
}

/// What was found in a journal.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The number of files.
    pub segments: usize,
    /// The bytes of all frames and of what lies between them.
    pub bytes: u64,
    /// Records in the files, including those that are settled already.
    pub records: u64,
    /// Records that are still to be delivered.
    pub backlog: u64,
    /// Records whose numbers are missing.
    pub missing: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

impl Inventory {
    /// The number of bytes that could not be read.
    pub(super) fn damaged_bytes(&self) -> u64 {
        let bytes = |damage: &Damage| damage.bytes.end - damage.bytes.start;
        self.damage.iter().map(bytes).sum()
    }
}

/// A journal as it was found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) id: Option<JournalId>,
    pub(super) segments: VecDeque<Segment>,
    pub(super) next_entry: u64,
    pub(super) progress: Progress,
    pub(super) inventory: Inventory,
    /// The runs of entries in the files.
    runs: Vec<Range<u64>>,
}

/// Reads everything that is there, and changes nothing.
pub(super) fn read(folder: &Path) -> io::Result<Recovered> {
    let mut recovered = Recovered {
        next_entry: 1,
        ..Recovered::default()
    };
    recovered.progress.settled = 1;
    let mut files = segment_files(folder)?;
    files.sort();
    for (first, path) in files {
        let read = recovered.read_file(first, &path);
        read.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    recovered.finish();
    Ok(recovered)
}

impl Recovered {
    fn read_file(&mut self, first: u64, path: &Path) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => Arc::new(file),
            // A running node removes segments that are settled.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let end = file.metadata()?.len();
        let segment = Segment {
            first,
            path: path.to_owned(),
            file,
            bytes: 0,
        };
        self.read_segment(segment, end)
    }

    fn read_segment(&mut self, mut segment: Segment, end: u64) -> io::Result<()> {
        let mut scanner = Scanner::new(Arc::clone(&segment.file), end);
        let mut damage: Vec<Range<u64>> = Vec::new();
        while let Some(found) = scanner.next()? {
            match found {
                Found::Frame(frame) => {
                    segment.bytes = scanner.position();
                    self.frame(frame, segment.first);
                }
                Found::Damage(bytes) => damage.push(bytes),
            }
        }
        let damage = damage.into_iter().map(|bytes| Damage {
            file: segment.path.clone(),
            is_tail: bytes.start >= segment.bytes,
            bytes,
        });
        self.inventory.damage.extend(damage);
        self.segments.push_back(segment);
        Ok(())
    }

    fn frame(&mut self, frame: Frame, first_of_segment: u64) {
        let Frame { entry, content } = frame;
        match content {
            Content::Start(id, progress) => {
                self.id = Some(id);
                self.progress.merge(progress);
                self.reach(entry, first_of_segment);
            }
            Content::Progress(progress) => {
                self.progress.merge(progress);
                self.reach(entry, first_of_segment);
            }
            Content::Record(_) => {
                self.reach(entry, first_of_segment);
                self.inventory.records += 1;
                self.next_entry = entry + 1;
                match self.runs.last_mut().filter(|run| run.end == entry) {
                    Some(run) => run.end += 1,
                    None => self.runs.push(entry..entry + 1),
                }
            }
        }
    }

    /// A frame carries this number as that of the next entry: every entry
    /// before it was written once.
    fn reach(&mut self, entry: u64, first_of_segment: u64) {
        // Before the very first segment there may have been others, settled.
        if self.segments.is_empty() && self.next_entry < first_of_segment {
            self.next_entry = first_of_segment;
        }
        self.inventory.missing += entry.saturating_sub(self.next_entry);
        self.next_entry = self.next_entry.max(entry);
    }

    /// Sums up after the last file.
    fn finish(&mut self) {
        let settled = self.progress.settled;
        // What is missing before the first file was settled, or is lost.
        let first = self.segments.front().map_or(settled, |first| first.first);
        let settled = settled.max(first).min(self.next_entry);
        self.progress.settled = settled;
        let unsettled = |run: &Range<u64>| run.end.saturating_sub(run.start.max(settled));
        self.inventory.backlog = self.runs.iter().map(unsettled).sum();
        self.inventory.segments = self.segments.len();
        self.inventory.bytes = self.segments.iter().map(|segment| segment.bytes).sum();
    }
}

impl Progress {
    /// Keeps the further of both.
    fn merge(&mut self, other: Self) {
        self.settled = self.settled.max(other.settled);
        for (journal, entry) in other.taken {
            let known = self.taken.entry(journal).or_default();
            *known = (*known).max(entry);
        }
    }
}

fn segment_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(first) = Segment::first_of(&path) {
            files.push((first, path));
        }
    }
    Ok(files)
}
