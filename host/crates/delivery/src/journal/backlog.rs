//! Reading what is on disk and not settled yet, in order.

use std::io;
use std::sync::Arc;

use super::frame::{self, Content};
use super::recovery::Segment;
use super::scan::{Found, Scanner};
use super::state::Journal;
use sluice_types::record::LogRecord;

/// Records of a journal, in its order.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The entry of each record.
    pub entries: Vec<u64>,
    /// The records.
    pub records: Vec<LogRecord>,
    /// Once all of them are settled, so is every entry below this one.
    pub end: u64,
}

/// A place in a journal from which it is read on.
#[derive(Debug)]
pub struct Backlog {
    journal: Journal,
    /// Entries below are not wanted.
    from: u64,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    /// The segment's first entry.
    first: u64,
    scanner: Scanner,
}

impl Backlog {
    /// From the first record that is not settled.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let from = journal.shared.lock().settled;
        Self::from(journal, from)
    }

    /// From this entry.
    #[must_use]
    pub const fn from(journal: Journal, from: u64) -> Self {
        Self {
            journal,
            from,
            place: None,
        }
    }

    /// The journal that is read.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Waits until there is more to read.
    pub async fn more(&self) {
        let mut synced = self.journal.shared.synced.subscribe();
        // The sender lives as long as this.
        drop(synced.wait_for(|synced| *synced > self.from).await);
    }

    /// The entry from which on it reads.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.from
    }

    /// Whether all was read that was ever taken in, or that will be to read
    /// for now.
    #[must_use]
    pub fn is_through(&self) -> bool {
        let state = self.journal.shared.lock();
        let end = match state.failure {
            None => state.next_entry,
            Some(_) => *self.journal.shared.synced.borrow(),
        };
        self.from >= end
    }

    /// How many entries there are to be read now.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.journal
            .shared
            .synced
            .borrow()
            .saturating_sub(self.from)
    }

    /// The next records, of about so many bytes at most, or none if all was
    /// read. Reads from disk.
    ///
    /// # Errors
    /// A file can not be read; it can be tried again.
    pub fn read(&mut self, bytes: usize) -> io::Result<Chunk> {
        let from = self.from;
        let read = self.read_on(bytes);
        if read.is_err() {
            // What came before the error comes again.
            self.from = from;
            self.place = None;
        }
        read
    }

    fn read_on(&mut self, bytes: usize) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let (mut size, mut from) = (0, self.from);
        while let Some(place) = self.place() {
            while size < bytes {
                let frame = match place.scanner.next()? {
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
            if size >= bytes || !self.go_on() {
                break;
            }
            from = self.from;
        }
        chunk.end = self.from;
        Ok(chunk)
    }

    /// Where to read, up to what is on disk now.
    fn place(&mut self) -> Option<&mut Place> {
        let state = self.journal.shared.lock();
        let segments = &state.segments;
        let segment = match &self.place {
            Some(place) => segments.iter().find(|segment| place.is_in(segment)),
            None => None,
        };
        let place = match (segment, self.place.take()) {
            (Some(segment), Some(mut place)) => {
                place.scanner.extend(segment.bytes);
                Some(place)
            }
            // The one that holds the wanted entry; the settled ones before it
            // may be gone.
            _ => segments
                .iter()
                .rev()
                .find(|segment| segment.first <= self.from)
                .or_else(|| segments.front())
                .map(Place::start),
        };
        drop(state);
        self.place = place;
        self.place.as_mut()
    }

    /// Goes on behind what was read of the segment: there may be more of it by
    /// now, or another after it. False: there is nothing.
    pub(super) fn go_on(&mut self) -> bool {
        let Some(place) = &self.place else {
            return false;
        };
        let state = self.journal.shared.lock();
        let current = state.segments.iter().find(|segment| place.is_in(segment));
        let Some(current) = current else {
            // Settled and gone, or replaced while it held no records: what holds the wanted entry
            // is looked up anew.
            drop(state);
            self.place = None;
            return true;
        };
        if current.bytes > place.scanner.position() {
            return true;
        }
        let after = |segment: &&Segment| segment.first > place.first;
        let Some(next) = state.segments.iter().find(after) else {
            return false;
        };
        // What is missing before it was reported when the journal was opened.
        self.from = self.from.max(next.first);
        self.place = Some(Place::start(next));
        true
    }
}

impl Place {
    /// One that held no records may have been replaced by another.
    fn is_in(&self, segment: &Segment) -> bool {
        self.first == segment.first && self.scanner.reads(&segment.file)
    }

    fn start(segment: &Segment) -> Self {
        Self {
            first: segment.first,
            scanner: Scanner::new(Arc::clone(&segment.file), segment.bytes),
        }
    }
}

impl Chunk {
    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The frames of its records, to be handed to another node.
    #[must_use]
    pub fn to_frames(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (entry, record) in self.entries.iter().zip(&self.records) {
            frame::record(*entry, record, &mut out);
        }
        out
    }

    /// Reads what [`Self::to_frames`] has made; `None` if it is anything else.
    #[must_use]
    pub fn from_frames(bytes: bytes::Bytes) -> Option<Self> {
        let mut chunk = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let head = frame::Head::read(rest.get(..frame::HEADER)?)?;
            let whole = frame::HEADER.checked_add(head.length)?;
            if rest.len() < whole {
                return None;
            }
            let mut payload = rest.split_to(whole);
            let frame = head.frame(payload.split_off(frame::HEADER))?;
            let Content::Record(record) = frame.content else {
                return None;
            };
            if frame.entry < chunk.end {
                return None;
            }
            chunk.entries.push(frame.entry);
            chunk.records.push(record);
            chunk.end = frame.entry.checked_add(1)?;
        }
        Some(chunk)
    }
}
