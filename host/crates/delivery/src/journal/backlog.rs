//! Reading what is on disk and not settled yet, in order.

use std::io;
use std::sync::Arc;

use super::chunk::Chunk;
use super::frame::Content;
use super::handle::Journal;
use super::scan::{Found, Scanner};
use super::segment::Segment;

/// A position in a journal from which its records are read.
#[derive(Debug)]
pub struct Backlog {
    journal: Journal,
    /// Entries below this one are skipped.
    from: u64,
    cursor: Option<Cursor>,
}

/// A position in a segment.
#[derive(Debug)]
struct Cursor {
    /// The segment's first entry.
    first: u64,
    scanner: Scanner,
}

impl Backlog {
    /// Reads from the first record that is not settled.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let from = journal.shared.lock().settled;
        Self::from(journal, from)
    }

    /// Reads from this entry.
    #[must_use]
    pub(crate) const fn from(journal: Journal, from: u64) -> Self {
        Self {
            journal,
            from,
            cursor: None,
        }
    }

    /// Waits until there is more to read.
    pub async fn more(&self) {
        let mut synced = self.journal.shared.synced.subscribe();
        // The sender lives as long as this.
        drop(synced.wait_for(|synced| *synced > self.from).await);
    }

    /// The entry from which it reads next.
    #[must_use]
    pub(crate) const fn position(&self) -> u64 {
        self.from
    }

    /// Whether everything was read that was ever taken in. While the journal
    /// cannot be written, what is not on disk does not count.
    #[must_use]
    pub(crate) fn is_through(&self) -> bool {
        let state = self.journal.shared.lock();
        let end = match state.failure {
            None => state.next_entry,
            Some(_) => *self.journal.shared.synced.borrow(),
        };
        self.from >= end
    }

    /// The number of entries that can be read now.
    #[must_use]
    pub(crate) fn unread(&self) -> u64 {
        self.journal
            .shared
            .synced
            .borrow()
            .saturating_sub(self.from)
    }

    /// The next records, of at most about this many bytes; an empty chunk if
    /// everything was read. Reads from disk.
    ///
    /// # Errors
    /// A file cannot be read. The call can be repeated.
    pub fn read(&mut self, bytes: usize) -> io::Result<Chunk> {
        let from = self.from;
        let read = self.read_segments(bytes);
        if read.is_err() {
            // The records before the error are read again.
            self.from = from;
            self.cursor = None;
        }
        read
    }

    fn read_segments(&mut self, bytes: usize) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let mut size = 0;
        let mut from = self.from;
        while let Some(cursor) = self.cursor() {
            while size < bytes {
                let frame = match cursor.scanner.next()? {
                    Some(Found::Frame(frame)) => frame,
                    // It was reported when the journal was opened.
                    Some(Found::Damage(_)) => continue,
                    None => break,
                };
                if let Content::Record(record) = frame.content
                    && frame.entry >= from
                {
                    size += record.size();
                    chunk.entries.push(frame.entry);
                    chunk.records.push(record);
                    from = frame.entry + 1;
                }
            }
            self.from = from;
            if size >= bytes || !self.advance() {
                break;
            }
            from = self.from;
        }
        chunk.end = self.from;
        Ok(chunk)
    }

    /// Where to read, up to what is on disk now.
    fn cursor(&mut self) -> Option<&mut Cursor> {
        let state = self.journal.shared.lock();
        let segments = &state.segments;
        let segment = match &self.cursor {
            Some(cursor) => segments.iter().find(|segment| cursor.is_in(segment)),
            None => None,
        };
        let cursor = match (segment, self.cursor.take()) {
            (Some(segment), Some(mut cursor)) => {
                cursor.scanner.extend(segment.bytes);
                Some(cursor)
            }
            // The segment that holds the wanted entry. Settled ones before it
            // may be gone.
            _ => segments
                .iter()
                .rev()
                .find(|segment| segment.first <= self.from)
                .or_else(|| segments.front())
                .map(Cursor::start),
        };
        drop(state);
        self.cursor = cursor;
        self.cursor.as_mut()
    }

    /// Moves on after a segment was read to its end: the segment may have
    /// grown since, or another may follow. False if there is nothing more.
    pub(super) fn advance(&mut self) -> bool {
        let Some(cursor) = &self.cursor else {
            return false;
        };
        let state = self.journal.shared.lock();
        let current = state.segments.iter().find(|segment| cursor.is_in(segment));
        let Some(current) = current else {
            // It was settled and removed, or replaced while it held no records.
            // The segment of the wanted entry is looked up again.
            drop(state);
            self.cursor = None;
            return true;
        };
        if current.bytes > cursor.scanner.position() {
            return true;
        }
        let is_later = |segment: &&Segment| segment.first > cursor.first;
        let Some(next) = state.segments.iter().find(is_later) else {
            return false;
        };
        // Entries missing before it were reported when the journal was opened.
        self.from = self.from.max(next.first);
        self.cursor = Some(Cursor::start(next));
        true
    }
}

impl Cursor {
    fn start(segment: &Segment) -> Self {
        Self {
            first: segment.first,
            scanner: Scanner::new(Arc::clone(&segment.file), segment.bytes),
        }
    }

    /// Whether it is in this segment. A segment without records may have been
    /// replaced by another with the same first entry.
    fn is_in(&self, segment: &Segment) -> bool {
        self.first == segment.first && self.scanner.reads(&segment.file)
    }
}
