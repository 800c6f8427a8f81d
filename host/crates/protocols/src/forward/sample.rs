//! Messages for the tests, written by `rmpv`.

use std::io::Write;

use bytes::Bytes;
use rmpv::Value as Packed;

use super::message::{self, Content, Limits, Message, Records};
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};
use sluice_types::record::{LogRecord, Value};

pub(super) const OBSERVED: u64 = 5;
pub(super) const LIMITS: Limits = Limits {
    records: 100_000,
    unpacked: 16 << 20,
};

pub(super) fn text(text: &str) -> Packed {
    Packed::from(text)
}

pub(super) fn map(fields: &[(&str, Packed)]) -> Packed {
    let fields = fields.iter().cloned();
    Packed::Map(fields.map(|(name, value)| (name.into(), value)).collect())
}

pub(super) fn event_time(seconds: u32, nanoseconds: u32) -> Packed {
    let bytes = [seconds.to_be_bytes(), nanoseconds.to_be_bytes()].concat();
    Packed::Ext(0, bytes)
}

pub(super) fn pack(value: &Packed) -> Vec<u8> {
    let mut packed = Vec::new();
    rmpv::encode::write_value(&mut packed, value).unwrap();
    packed
}

pub(super) fn array(values: Vec<Packed>) -> Packed {
    Packed::Array(values)
}

/// Entries one after the other, as they are in a packed message.
pub(super) fn entries(entries: &[Packed]) -> Vec<u8> {
    entries.iter().flat_map(pack).collect()
}

/// A message with packed entries, and the option that goes with it.
pub(super) fn packed(entries: &[u8], option: &[(&str, Packed)]) -> Bytes {
    let entries = Packed::Binary(entries.to_vec());
    pack(&array(vec![text("app.web"), entries, map(option)])).into()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn decode_with(
    memory: usize,
    limits: Limits,
    body: &Bytes,
) -> Result<(Message, Reservation), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    meter.measure(|meter| message::decode(body, OBSERVED, limits, meter))
}

pub(super) fn decode(body: impl Into<Bytes>) -> Result<Message, DecodeError> {
    decode_with(64 << 20, LIMITS, &body.into()).map(|(message, _)| message)
}

pub(super) fn records(body: impl Into<Bytes>) -> Records {
    match decode(body).unwrap().content {
        Content::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

/// The only record of a message with this one, without a time.
pub(super) fn record(fields: Packed) -> LogRecord {
    let message = array(vec![text("app.web"), Packed::Nil, fields]);
    let Records { mut decoded, .. } = records(pack(&message));
    assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 0));
    decoded.records.pop().unwrap()
}

pub(super) fn reasons(records: Records) -> Vec<(usize, String)> {
    let rejections = records.decoded.rejected.merge(Vec::new());
    let listed = rejections.listed.into_iter();
    listed.map(|r| (r.index, r.reason)).collect()
}

pub(super) fn bodies(records: &[LogRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.body).collect()
}

pub(super) fn attributes(record: &LogRecord) -> Vec<(&str, &Value)> {
    let attributes = record.attributes.iter();
    attributes.map(|(name, value)| (&**name, value)).collect()
}

pub(super) fn tag(tag: &str) -> (&str, Value) {
    ("fluent.tag", Value::Text(tag.to_owned().into()))
}

pub(super) fn owned<'a>(pairs: Vec<(&'a str, &Value)>) -> Vec<(&'a str, Value)> {
    let pairs = pairs.into_iter();
    pairs.map(|(name, value)| (name, value.clone())).collect()
}

pub(super) fn entry(body: &str) -> Packed {
    let record = map(&[("log", text(body))]);
    array(vec![Packed::from(1_795_256_298), record])
}
