//! What real clients sent, and what hostile ones could.

mod framing;
mod memory;
mod messages;

use bytes::Bytes;
use sluice_types::record::{LogRecord, Value};

use super::decode;
use super::framer::{Framer, FramingError};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};

/// 2026-11-21T10:30:00Z, in nanoseconds since the Unix epoch.
pub(crate) const OBSERVED: u64 = 1_795_257_000_000_000_000;

/// What work with this much memory decodes, and what it was charged.
pub(crate) fn metered(
    memory: usize,
    work: impl FnOnce(&mut Meter) -> Decoded,
) -> Result<(Decoded, usize), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    let (decoded, reservation) = meter.measure(|meter| Ok::<_, DecodeError>(work(meter)))?;
    Ok((decoded, reservation.spent()))
}

/// The records of one datagram.
fn datagram(bytes: impl Into<Bytes>) -> Vec<LogRecord> {
    let datagrams = [bytes.into()];
    let decode = |meter: &mut Meter| decode::datagrams(&datagrams, OBSERVED, 100, meter);
    let (decoded, _) = metered(1 << 20, decode).unwrap();
    assert_eq!(decoded.rejected.len(), 0);
    decoded.records
}

/// The record of a datagram with one message.
fn record(bytes: impl Into<Bytes>) -> LogRecord {
    let mut records = datagram(bytes);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The records of a connection that sends these segments, and how it ended.
fn connection(longest: usize, segments: &[&[u8]]) -> (Vec<LogRecord>, Option<FramingError>) {
    let mut framer = Framer::new(longest);
    let (mut records, mut unread) = (Vec::new(), Vec::new());
    for segment in segments {
        unread.extend_from_slice(segment);
        loop {
            let batch = framer.batch(&unread, 2);
            let body: Bytes = unread.drain(..batch.bytes).collect();
            let decode = |meter: &mut Meter| decode::stream(batch, &body, OBSERVED, 2, meter);
            records.append(&mut metered(1 << 24, decode).unwrap().0.records);
            if batch.error.is_some() {
                return (records, batch.error);
            }
            if batch.messages < 2 {
                break;
            }
        }
        assert!(unread.len() <= framer.unread_max());
    }
    let last = framer.last_batch(&unread);
    let body = Bytes::from(unread);
    let decode = |meter: &mut Meter| decode::stream(last, &body, OBSERVED, 2, meter);
    records.append(&mut metered(1 << 24, decode).unwrap().0.records);
    (records, None)
}

fn bodies(records: &[LogRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.body).collect()
}

/// Names and values as one text, such as `host.name=vm process.pid=7`.
fn attributes(record: &LogRecord) -> String {
    let attributes = record.attributes.iter().map(|(name, value)| {
        let value = match value {
            Value::Text(text) => text.to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::Bytes(bytes) => format!("{bytes:?}"),
            other => panic!("{other:?}"),
        };
        format!("{name}={value}")
    });
    attributes.collect::<Vec<_>>().join(" ")
}
