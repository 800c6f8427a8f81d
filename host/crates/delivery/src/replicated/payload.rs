//! The payloads of groups: frames of records, as the local journal has them.

use bytes::Bytes;

use crate::journal::{HEADER, Head};
use sluice_types::record::LogRecord;

/// The length of the whole frames at the beginning of `bytes`, of at most
/// `limit` bytes and `count` frames, and the number of these frames.
pub(super) fn whole_frames(bytes: &[u8], limit: usize, count: usize) -> (usize, usize) {
    let (mut end, mut frames) = (0, 0);
    while frames < count
        && let Some(length) = frame_length(bytes, end)
        && end + length <= limit
    {
        end += length;
        frames += 1;
    }
    (end, frames)
}

/// The length of the frame that begins at `start`.
pub(super) fn frame_length(bytes: &[u8], start: usize) -> Option<usize> {
    let head = Head::read(bytes.get(start..)?.get(..HEADER)?)?;
    HEADER.checked_add(head.length)
}

/// The records; `None` if anything in it is not a whole record's frame.
pub(super) fn records(mut rest: Bytes) -> Option<Vec<LogRecord>> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let head = Head::read(rest.get(..HEADER)?)?;
        let whole = HEADER.checked_add(head.length)?;
        if rest.len() < whole {
            return None;
        }
        let mut frame = rest.split_to(whole);
        records.push(head.record(frame.split_off(HEADER))?);
    }
    Some(records)
}
