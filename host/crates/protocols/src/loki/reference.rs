//! A push request as `prost` reads and writes it, and what its entries are as
//! records, found without regard to speed.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use sluice_types::record::{LogRecord, Severity, Value};

use super::{json, protobuf};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};

pub(super) const OBSERVED: u64 = 5;
pub(super) const MEMORY: usize = 64 << 20;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) streams: Vec<Stream>,
    #[prost(string, tag = "2")]
    pub(super) format: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Stream {
    #[prost(string, tag = "1")]
    pub(super) labels: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) entries: Vec<Entry>,
    #[prost(uint64, tag = "3")]
    pub(super) hash: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(message, optional, tag = "1")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    pub(super) line: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<Pair>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// What must be the same of a record.
#[derive(Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) timestamp: u64,
    pub(super) severity: Severity,
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, String>,
}

impl From<&LogRecord> for Expected {
    fn from(record: &LogRecord) -> Self {
        let attributes: BTreeMap<_, _> = record
            .attributes
            .iter()
            .map(|(name, value)| (name.to_string(), text(value).to_owned()))
            .collect();
        assert_eq!(attributes.len(), record.attributes.len(), "a name twice");
        assert_eq!((record.observed, record.key.as_ref()), (OBSERVED, None));
        Self {
            timestamp: record.timestamp,
            severity: record.severity,
            body: record.body.to_string(),
            attributes,
        }
    }
}

impl Entry {
    /// What it is in a stream with these labels; `None` if it has no time that can
    /// be kept.
    pub(super) fn expected(
        &self,
        labels: &[(&str, &str)],
        tenant: Option<&str>,
    ) -> Option<Expected> {
        let pairs = self.metadata.iter();
        let metadata: BTreeMap<_, _> = pairs
            .map(|pair| (pair.name.clone(), pair.value.clone()))
            .collect();
        let labels: BTreeMap<_, _> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let name = |from: &BTreeMap<String, String>| {
            let levels = ["level", "severity", "detected_level"];
            let level = |level: &&str| crate::severity::of_name(from.get(*level)?);
            levels.iter().find_map(level)
        };
        let severity = name(&metadata).or(name(&labels)).unwrap_or_default();
        let mut attributes = BTreeMap::new();
        for mut from in [labels, metadata] {
            if let Some(service) = from.get("service_name").cloned() {
                from.entry("service.name".to_owned()).or_insert(service);
            }
            attributes.extend(from);
        }
        attributes.extend(tenant.map(|tenant| ("loki.tenant".to_owned(), tenant.to_owned())));
        let Timestamp { seconds, nanos } = self.timestamp.unwrap_or_default();
        let is_time = seconds >= 0 && (0..1_000_000_000).contains(&nanos);
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let timestamp = u64::try_from(nanoseconds).ok().filter(|_| is_time)?;
        Some(Expected {
            timestamp: if timestamp == 0 { OBSERVED } else { timestamp },
            severity,
            body: self.line.clone(),
            attributes,
        })
    }
}

/// An entry of the second 1,800,000,000.
pub(super) fn entry(line: &str, metadata: &[(&str, &str)]) -> Entry {
    let pair = |(name, value): &(&str, &str)| Pair {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    Entry {
        timestamp: Some(Timestamp {
            seconds: 1_800_000_000,
            nanos: 7,
        }),
        line: line.to_owned(),
        metadata: metadata.iter().map(pair).collect(),
    }
}

pub(super) fn stream(labels: &str, entries: impl IntoIterator<Item = Entry>) -> Stream {
    Stream {
        labels: labels.to_owned(),
        entries: entries.into_iter().collect(),
        hash: 9,
    }
}

/// The request in protobuf.
pub(super) fn in_protobuf(streams: &[Stream]) -> Bytes {
    let streams = streams.to_vec();
    let format = "loki".to_owned();
    PushRequest { streams, format }.encode_to_vec().into()
}

/// The same request in JSON, with labels as text.
pub(super) fn in_json(streams: &[Stream]) -> Bytes {
    let entry = |entry: &Entry| {
        let metadata: BTreeMap<_, _> = entry
            .metadata
            .iter()
            .map(|pair| (&pair.name, &pair.value))
            .collect();
        let time = entry.timestamp.unwrap_or_default();
        let time = format!("{}{:09}", time.seconds, time.nanos);
        json!([time, entry.line, metadata])
    };
    let stream = |stream: &Stream| {
        let entries: Vec<_> = stream.entries.iter().map(entry).collect();
        json!({"labels": stream.labels, "values": entries})
    };
    let streams: Vec<_> = streams.iter().map(stream).collect();
    json!({ "streams": streams }).to_string().into()
}

/// Either decoder.
pub(super) type Decoder =
    fn(&Bytes, Option<&str>, u64, usize, &mut Meter) -> Result<Decoded, DecodeError>;

/// Writes a request.
pub(super) type Writer = fn(&[Stream]) -> Bytes;

/// The decoders, and what writes requests for them.
pub(super) const BOTH: [(Decoder, Writer); 2] =
    [(protobuf::decode, in_protobuf), (json::decode, in_json)];

pub(super) fn decode_within(
    memory: usize,
    decoder: Decoder,
    body: &Bytes,
    most: usize,
) -> Result<(Decoded, Reservation), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    meter.measure(|meter| decoder(body, None, OBSERVED, most, meter))
}

pub(super) fn decode(decoder: Decoder, body: impl Into<Bytes>) -> Result<Decoded, DecodeError> {
    decode_within(MEMORY, decoder, &body.into(), 100_000).map(|(decoded, _)| decoded)
}

/// Names and values, all of them texts.
pub(super) fn attributes(record: &LogRecord) -> Vec<(&str, &str)> {
    let attributes = record.attributes.iter();
    attributes
        .map(|(name, value)| (&**name, text(value)))
        .collect()
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// The places and reasons of what was rejected.
pub(super) fn rejected(decoded: Decoded) -> Vec<(usize, String)> {
    let rejections = decoded.rejected.merge(Vec::new()).listed;
    rejections
        .into_iter()
        .map(|r| (r.index, r.reason))
        .collect()
}
