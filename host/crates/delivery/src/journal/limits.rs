//! The bounds of a journal.

/// The largest segment by default, so that settled entries are soon removed.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// A full journal has at least this many segments.
const SEGMENTS_MIN: u64 = 8;
/// A full journal has at most about this many segments: each is an open file.
const SEGMENTS_MAX: u64 = 256;

/// The bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalLimits {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that may wait to be written.
    pub pending: usize,
}

impl JournalLimits {
    /// How large a segment may become.
    pub(super) fn segment_bytes(self) -> u64 {
        let largest = SEGMENT_BYTES_MAX.max(self.bytes / SEGMENTS_MAX);
        (self.bytes / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, largest)
    }
}
