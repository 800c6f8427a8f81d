//! Reading a segment frame by frame, skipping damage.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::frame::{Frame, HEADER, Head, MARK};
use crate::counting::to_u64;

/// How many bytes are read at once.
const READ_BYTES: u64 = 1 << 20;

/// What is found in a segment.
#[derive(Debug)]
pub(super) enum Found {
    Frame(Frame),
    /// Bytes that are not frames.
    Damage(Range<u64>),
}

/// Reads the frames of a segment.
#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<File>,
    /// The position at which to stop.
    end: u64,
    /// The position of the buffer's first byte.
    at: u64,
    buffer: Bytes,
}

impl Scanner {
    /// Reads from the first byte to `end`.
    pub(super) fn new(file: Arc<File>, end: u64) -> Self {
        Self {
            file,
            end,
            at: 0,
            buffer: Bytes::new(),
        }
    }

    /// Whether it reads this file.
    pub(super) fn reads(&self, file: &Arc<File>) -> bool {
        Arc::ptr_eq(&self.file, file)
    }

    /// Moves the end, after the segment has grown.
    pub(super) fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// The position of the next frame.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// The next frame or damage; `None` at the end, before which there may be
    /// zeros.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.at >= self.end {
            return Ok(None);
        }
        if let Some(frame) = self.frame()? {
            return Ok(Some(Found::Frame(frame)));
        }
        self.damage()
    }

    /// The frame that begins at this position, if one does.
    fn frame(&mut self) -> io::Result<Option<Frame>> {
        self.fill(HEADER)?;
        let Some(head) = self.buffer.get(..HEADER).and_then(Head::read) else {
            return Ok(None);
        };
        let whole = HEADER + head.length;
        if to_u64(whole) > self.end - self.at {
            return Ok(None);
        }
        self.fill(whole)?;
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let frame = head.frame(self.buffer.slice(HEADER..whole));
        if frame.is_some() {
            self.skip(whole);
        }
        Ok(frame)
    }

    /// Skips to the next frame, or to the end. Zeros before the end are reserved
    /// space, not damage.
    fn damage(&mut self) -> io::Result<Option<Found>> {
        let start = self.at;
        // No frame begins here.
        let mut end = self.pass(1, start);
        loop {
            self.fill(HEADER)?;
            if self.buffer.is_empty() {
                self.at = self.end;
                return Ok((end > start).then_some(Found::Damage(start..end)));
            }
            let next = memchr::memchr(MARK, &self.buffer);
            end = self.pass(next.unwrap_or(self.buffer.len()), end);
            if next.is_some() {
                let (at, buffer) = (self.at, self.buffer.clone());
                if self.frame()?.is_some() {
                    // The next call returns it.
                    (self.at, self.buffer) = (at, buffer);
                    return Ok(Some(Found::Damage(start..at)));
                }
                end = self.pass(1, end);
            }
        }
    }

    /// Skips this many bytes. Returns the position after the last byte that is
    /// not zero: `end` if all of these are.
    fn pass(&mut self, bytes: usize, end: u64) -> u64 {
        let passed = self.buffer.get(..bytes).unwrap_or(&self.buffer);
        let last = passed.iter().rposition(|byte| *byte != 0);
        let end = last.map_or(end, |last| self.at + to_u64(last) + 1);
        self.skip(passed.len());
        end
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer = self.buffer.slice(bytes.min(self.buffer.len())..);
        self.at += to_u64(bytes);
    }

    /// Reads until the buffer holds this many bytes, or all that there are.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let rest = self.end.saturating_sub(self.at);
        if self.buffer.len() >= wanted || to_u64(self.buffer.len()) >= rest {
            return Ok(());
        }
        let length =
            usize::try_from(READ_BYTES.max(to_u64(wanted)).min(rest)).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(length);
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.at + to_u64(read)) {
                // The file is shorter than expected.
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(read);
        self.buffer = buffer.freeze();
        Ok(())
    }
}
