//! Requests of real clients, and hostile ones.

mod answers;
mod clients;
mod limits;
mod rules;

use bytes::Bytes;

use super::{event, raw};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};
use sluice_types::record::{LogRecord, Value};

pub(super) const MEMORY: usize = 64 << 20;
pub(super) const OBSERVED: u64 = 5;

pub(super) fn decode(
    memory: usize,
    work: impl FnOnce(&mut Meter) -> Result<Decoded, DecodeError>,
) -> Result<(Decoded, Reservation), DecodeError> {
    Meter::new(MemoryBudget::new(memory).reserve(), Client::default()).measure(work)
}

pub(super) fn events(body: impl Into<Bytes>) -> Result<Decoded, DecodeError> {
    let body = body.into();
    decode(MEMORY, |meter| event::decode(&body, OBSERVED, 1000, meter)).map(|(decoded, _)| decoded)
}

pub(super) fn lines(query: &str, body: impl Into<Bytes>) -> Result<Decoded, DecodeError> {
    let body = body.into();
    let lines = |meter: &mut Meter| raw::decode(&body, query, OBSERVED, 1000, meter);
    decode(MEMORY, lines).map(|(decoded, _)| decoded)
}

pub(super) fn one(body: impl Into<Bytes>) -> LogRecord {
    let mut decoded = events(body).unwrap();
    assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 0));
    decoded.records.remove(0)
}

pub(super) fn bodies(decoded: &Decoded) -> Vec<&str> {
    decoded.records.iter().map(|record| &*record.body).collect()
}

pub(super) fn rejections(decoded: Decoded) -> Vec<(usize, String)> {
    let rejections = decoded.rejected.merge(Vec::new());
    let listed = rejections.listed.into_iter();
    listed
        .map(|rejection| (rejection.index, rejection.reason))
        .collect()
}

pub(super) fn attributes(record: &LogRecord) -> Vec<(&str, &Value)> {
    let attributes = record.attributes.iter();
    attributes.map(|(name, value)| (&**name, value)).collect()
}

pub(super) fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

pub(super) fn malformed(result: Result<Decoded, DecodeError>) -> String {
    match result {
        Err(DecodeError::Malformed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}
