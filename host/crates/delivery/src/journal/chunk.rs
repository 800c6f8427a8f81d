//! Records of a journal, on their way to the sink or to another node.

use bytes::Bytes;

use super::frame::{self, Content};
use sluice_types::record::LogRecord;

/// Records of a journal, in its order.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The entry of each record.
    pub entries: Vec<u64>,
    /// The records.
    pub records: Vec<LogRecord>,
    /// Once all records are settled, so is every entry below this one.
    pub end: u64,
}

impl Chunk {
    /// Whether it holds no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The frames of its records, to be transferred to another node.
    #[must_use]
    pub fn to_frames(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (entry, record) in self.entries.iter().zip(&self.records) {
            frame::record(*entry, record, &mut out);
        }
        out
    }

    /// The same for records of no journal, which are numbered from 0.
    #[must_use]
    pub fn frames_of(records: &[LogRecord]) -> Vec<u8> {
        let mut out = Vec::new();
        for (entry, record) in (0..).zip(records) {
            frame::record(entry, record, &mut out);
        }
        out
    }

    /// Reads what [`Self::to_frames`] wrote; `None` if it is anything else.
    #[must_use]
    pub fn from_frames(bytes: Bytes) -> Option<Self> {
        let mut chunk = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (entry, record) = next_record(&mut rest)?;
            if entry < chunk.end {
                return None;
            }
            chunk.entries.push(entry);
            chunk.records.push(record);
            chunk.end = entry.checked_add(1)?;
        }
        Some(chunk)
    }
}

/// Splits the first frame off, which must be a whole record's.
fn next_record(rest: &mut Bytes) -> Option<(u64, LogRecord)> {
    let head = frame::Head::read(rest.get(..frame::HEADER)?)?;
    let whole = frame::HEADER.checked_add(head.length)?;
    if rest.len() < whole {
        return None;
    }
    let mut payload = rest.split_to(whole);
    let frame = head.frame(payload.split_off(frame::HEADER))?;
    match frame.content {
        Content::Record(record) => Some((frame.entry, record)),
        _ => None,
    }
}
