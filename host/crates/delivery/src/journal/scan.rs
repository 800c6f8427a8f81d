//! Reading a segment frame by frame, past what is damaged.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::frame::{Frame, HEADER, Head, MARK};

/// How much is read at once.
const CHUNK: u64 = 1 << 20;

/// What is found in a segment.
#[derive(Debug)]
pub(super) enum Found {
    Frame(Frame),
    /// Bytes that are no frames.
    Damage(Range<u64>),
}

/// Walks over the bytes of a segment.
#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<File>,
    /// Where to stop.
    end: u64,
    /// Where the buffer's first byte stands.
    at: u64,
    buffer: Bytes,
}

impl Scanner {
    /// Walks from the first byte to `end`.
    pub(super) fn new(file: Arc<File>, end: u64) -> Self {
        Self {
            file,
            end,
            at: 0,
            buffer: Bytes::new(),
        }
    }

    /// Whether it is this file that it walks over.
    pub(super) fn reads(&self, file: &Arc<File>) -> bool {
        Arc::ptr_eq(&self.file, file)
    }

    /// There is more to read now.
    pub(super) fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Where what comes next begins.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// What comes next; `None` at the end, where zeros may stand.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.at >= self.end {
            return Ok(None);
        }
        if let Some(frame) = self.frame()? {
            return Ok(Some(Found::Frame(frame)));
        }
        self.damage()
    }

    /// The frame that begins here, if one does.
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

    /// Goes on to the next frame, or to the end; zeros there are room that was
    /// reserved.
    fn damage(&mut self) -> io::Result<Option<Found>> {
        let start = self.at;
        // Whatever stands here is no frame.
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
                    // It is the next to be found.
                    (self.at, self.buffer) = (at, buffer);
                    return Ok(Some(Found::Damage(start..at)));
                }
                end = self.pass(1, end);
            }
        }
    }

    /// Skips so many bytes, and says where the last one ends that is not zero,
    /// those before `end` included.
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

    /// Has so many bytes in the buffer, or all that there are.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let rest = self.end.saturating_sub(self.at);
        if self.buffer.len() >= wanted || to_u64(self.buffer.len()) >= rest {
            return Ok(());
        }
        let length = usize::try_from(CHUNK.max(to_u64(wanted)).min(rest)).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(length);
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.at + to_u64(read)) {
                // Shorter than it was said to be.
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

pub(super) fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
