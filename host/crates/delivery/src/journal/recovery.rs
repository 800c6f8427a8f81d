//! What a journal's folder holds: read at the start, and by who verifies it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Content, JournalId, Progress};
use super::scan::{Found, Scanner};

/// What segments are called: the number of their first entry, and this.
const EXTENSION: &str = "journal";

/// A file of the journal.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Its first entry.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// Where its frames end.
    pub(super) bytes: u64,
}

impl Segment {
    pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.{EXTENSION}"))
    }
}

/// Bytes of a file that are no frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub file: PathBuf,
    /// Which of its bytes.
    pub bytes: Range<u64>,
    /// Whether nothing stands after them: a write that did not end.
    pub is_tail: bool,
}

/// What was found in a journal.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Its files.
    pub segments: usize,
    /// The bytes of all frames and what lies between them.
    pub bytes: u64,
    /// Records in the files, the settled ones that still lie there included.
    pub records: u64,
    /// Records that are still to be delivered.
    pub backlog: u64,
    /// Records that must have been there and are not.
    pub missing: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// A journal as it is found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) id: Option<JournalId>,
    pub(super) segments: VecDeque<Segment>,
    pub(super) next_entry: u64,
    pub(super) progress: Progress,
    pub(super) inventory: Inventory,
}

/// Reads all there is, and changes nothing.
pub(super) fn read(folder: &Path) -> io::Result<Recovered> {
    let mut recovered = Recovered {
        next_entry: 1,
        ..Recovered::default()
    };
    recovered.progress.settled = 1;
    let mut files = segment_files(folder)?;
    files.sort();
    let mut unsettled = Vec::new();
    for (first, path) in files {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => Arc::new(file),
            // A node that runs removes what is settled.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(named(error)),
        };
        let end = file.metadata().map_err(named)?.len();
        let segment = Segment {
            first,
            path: path.clone(),
            file,
            bytes: 0,
        };
        recovered
            .segment(segment, end, &mut unsettled)
            .map_err(named)?;
    }
    let settled = recovered.progress.settled;
    // What lies before the first file was settled, or is lost.
    let first = recovered.segments.front().map_or(settled, |s| s.first);
    recovered.progress.settled = settled.max(first).min(recovered.next_entry);
    let inventory = &mut recovered.inventory;
    inventory.backlog = unsettled
        .iter()
        .map(|run| {
            run.end
                .saturating_sub(run.start.max(recovered.progress.settled))
        })
        .sum();
    inventory.segments = recovered.segments.len();
    inventory.bytes = recovered.segments.iter().map(|s| s.bytes).sum();
    Ok(recovered)
}

impl Recovered {
    fn segment(
        &mut self,
        mut segment: Segment,
        end: u64,
        runs: &mut Vec<Range<u64>>,
    ) -> io::Result<()> {
        let mut scanner = Scanner::new(Arc::clone(&segment.file), end);
        let mut damage: Vec<Range<u64>> = Vec::new();
        while let Some(found) = scanner.next()? {
            let frame = match found {
                Found::Frame(frame) => frame,
                Found::Damage(bytes) => {
                    damage.push(bytes);
                    continue;
                }
            };
            segment.bytes = scanner.position();
            match frame.content {
                Content::Start(id, progress) => {
                    self.id = Some(id);
                    self.progress.merge(progress);
                    self.arrive(frame.entry, segment.first);
                }
                Content::Progress(progress) => {
                    self.progress.merge(progress);
                    self.arrive(frame.entry, segment.first);
                }
                Content::Record(_) => {
                    self.arrive(frame.entry, segment.first);
                    self.inventory.records += 1;
                    self.next_entry = frame.entry + 1;
                    match runs.last_mut().filter(|run| run.end == frame.entry) {
                        Some(run) => run.end += 1,
                        None => runs.push(frame.entry..frame.entry + 1),
                    }
                }
            }
        }
        let found = damage.into_iter().map(|bytes| Damage {
            file: segment.path.clone(),
            is_tail: bytes.start >= segment.bytes,
            bytes,
        });
        self.inventory.damage.extend(found);
        self.segments.push_back(segment);
        Ok(())
    }

    /// A frame has the number of the next entry: all before it were written.
    fn arrive(&mut self, entry: u64, first_of_segment: u64) {
        // At the very first there may have been others before, settled.
        if self.segments.is_empty() && self.next_entry < first_of_segment {
            self.next_entry = first_of_segment;
        }
        self.inventory.missing += entry.saturating_sub(self.next_entry);
        self.next_entry = self.next_entry.max(entry);
    }
}

impl Progress {
    /// What is known from both.
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
        let first = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(first) = first
            && path.extension().is_some_and(|found| found == EXTENSION)
        {
            files.push((first, path));
        }
    }
    Ok(files)
}
