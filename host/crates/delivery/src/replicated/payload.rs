//! The payloads of groups: frames of records, as the local journal has them, and ids
//! of requests behind them.

use bytes::Bytes;

use super::id_log::RequestId;
use super::log::Stored;
use crate::journal::{HEADER, Head};
use sluice_types::record::LogRecord;

/// The size of an id.
pub(super) const ID_BYTES: usize = size_of::<RequestId>();

impl Stored {
    /// The payload without the ids; `None` if it is shorter than these.
    pub(super) fn frames(&self) -> Option<Bytes> {
        let end = self.payload.len().checked_sub(self.ids_length())?;
        Some(self.payload.slice(..end))
    }

    /// The ids of the requests that are whole with it.
    pub(super) fn ids(&self) -> Vec<RequestId> {
        let start = self.payload.len().checked_sub(self.ids_length());
        let ids = start.and_then(|start| self.payload.get(start..));
        let (ids, _) = ids.unwrap_or_default().as_chunks();
        ids.to_vec()
    }

    fn ids_length(&self) -> usize {
        let count = self.envelope.map_or(0, |envelope| envelope.ids);
        usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_mul(ID_BYTES)
    }
}

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
