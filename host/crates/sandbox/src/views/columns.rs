//! One field of all records.

use sluice_types::record::LogRecord;

use super::room::{TooLarge, check};
use crate::bindings::v0_1::{RecordId, Severity};
use crate::bindings::v0_2::Texts;
use crate::lower;

pub(super) fn len(records: &[LogRecord]) -> u32 {
    offset(records.len())
}

pub(super) fn bodies(records: &[LogRecord], most: usize) -> Result<Texts, TooLarge> {
    texts(records.iter().map(|record| &*record.body), most)
}

pub(super) fn keys(records: &[LogRecord], most: usize) -> Result<Texts, TooLarge> {
    let key = |record| -> &str {
        let record: &LogRecord = record;
        record.key.as_deref().unwrap_or_default()
    };
    texts(records.iter().map(key), most)
}

pub(super) fn timestamps(records: &[LogRecord]) -> Vec<u64> {
    records.iter().map(|record| record.timestamp).collect()
}

pub(super) fn observed(records: &[LogRecord]) -> Vec<u64> {
    records.iter().map(|record| record.observed).collect()
}

pub(super) fn severities(records: &[LogRecord]) -> Vec<Severity> {
    let severity = |record: &LogRecord| lower::severity(record.severity);
    records.iter().map(severity).collect()
}

pub(super) fn ids(records: &[LogRecord]) -> Vec<RecordId> {
    let id = |record: &LogRecord| RecordId {
        epoch: record.id.epoch,
        sequence: record.id.sequence,
    };
    records.iter().map(id).collect()
}

/// Puts texts together.
fn texts<'a>(
    texts: impl ExactSizeIterator<Item = &'a str> + Clone,
    most: usize,
) -> Result<Texts, TooLarge> {
    let size = texts.clone().map(str::len).sum();
    check(size, most)?;
    let mut offsets = Vec::with_capacity(texts.len() + 1);
    let mut bytes = Vec::with_capacity(size);
    offsets.push(0);
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        offsets.push(offset(bytes.len()));
    }
    Ok(Texts { bytes, offsets })
}

/// A place in a view. Views have less than 4 GiB, because an instance has no
/// more memory.
pub(super) fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
