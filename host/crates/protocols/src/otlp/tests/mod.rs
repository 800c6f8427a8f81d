//! Tests of both decoders.

mod agreement;
mod captures;
mod fuzz;
mod generator;
mod hostile;
mod json_form;
mod json_rules;
mod protobuf_rules;
mod reference;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::common::v1::{KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as ProtoRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::{json, protobuf};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};
use sluice_types::record::{LogRecord, Value};

/// When the records of the tests are observed, in nanoseconds.
const OBSERVED: u64 = 7;
const MEMORY: usize = 64 << 20;

type Decoder = fn(&Bytes, u64, usize, &mut Meter) -> Result<Decoded, DecodeError>;

const BOTH: [Decoder; 2] = [protobuf::decode, json::decode];

/// What a body is decoded to with this much memory, and what was charged.
fn decode(
    decoder: Decoder,
    memory: usize,
    body: impl Into<Bytes>,
) -> Result<(Decoded, Reservation), DecodeError> {
    let body = body.into();
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    meter.measure(|meter| decoder(&body, OBSERVED, 100_000, meter))
}

/// The records of a body, all of which are decoded.
fn records(decoder: Decoder, body: impl Into<Bytes>) -> Vec<LogRecord> {
    let (decoded, _) = decode(decoder, MEMORY, body).unwrap();
    assert_eq!(reasons(decoded.rejected), [""; 0]);
    decoded.records
}

/// The record of a body with only one.
fn record(decoder: Decoder, body: impl Into<Bytes>) -> LogRecord {
    let [record] = <[_; 1]>::try_from(records(decoder, body)).unwrap();
    record
}

fn reasons(rejected: crate::rejected::Rejected) -> Vec<String> {
    let listed = rejected.merge(Vec::new()).listed;
    listed
        .into_iter()
        .map(|rejection| rejection.reason)
        .collect()
}

fn attributes(record: &LogRecord) -> Vec<(&str, Value)> {
    let attributes = record.attributes.iter();
    attributes
        .map(|(name, value)| (&**name, value.clone()))
        .collect()
}

/// A field of a message that holds bytes, which may be another message.
fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

/// A request of records in protobuf, each given by its fields.
fn request_of(records: &[&[u8]]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(|record| field(2, record)).collect();
    field(1, field(2, records.concat()))
}

/// A request of records in JSON, each given by its fields.
fn json_of(records: &[&str]) -> String {
    let records: Vec<_> = records
        .iter()
        .map(|record| format!("{{{record}}}"))
        .collect();
    let records = records.join(",");
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#)
}

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    any(Any::StringValue(text.to_owned()))
}

fn key_value(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// A request of one resource with one scope.
fn request(
    resource: Vec<KeyValue>,
    scope: InstrumentationScope,
    log_records: Vec<ProtoRecord>,
) -> ExportLogsServiceRequest {
    let resource = Resource {
        attributes: resource,
        ..Resource::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(scope),
        log_records,
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    }
}

/// This many arrays or lists, each in the one before, with a text in the last.
fn nested(levels: usize, is_list: bool) -> AnyValue {
    (0..levels).fold(text("x"), |inner, _| match is_list {
        true => any(Any::KvlistValue(KeyValueList {
            values: vec![key_value("k", inner)],
        })),
        false => any(Any::ArrayValue(ArrayValue {
            values: vec![inner],
        })),
    })
}
