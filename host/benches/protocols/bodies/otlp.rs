//! OTLP in protobuf.

use super::protobuf::Message;
use super::{Record, SECONDS, SERVICE, Value};

/// `ExportLogsServiceRequest`.
pub(crate) fn request(records: &[Record]) -> Vec<u8> {
    let service = attribute(&("service.name", Value::Text(SERVICE.to_owned())));
    let resource = Message::default().bytes(1, service);
    let scope = Message::default().bytes(1, "orders");
    let records = records.iter().map(record);
    let scope_logs = records.fold(Message::default().bytes(1, scope), |logs, record| {
        logs.bytes(2, record)
    });
    let resource_logs = Message::default().bytes(1, resource).bytes(2, scope_logs);
    Message::default().bytes(1, resource_logs).0
}

fn record(record: &Record) -> Message {
    let time = SECONDS * 1_000_000_000 + record.nanos;
    let head = Message::default()
        .fixed(1, time)
        .number(2, 9)
        .bytes(3, "INFO")
        .bytes(5, Message::default().bytes(1, &record.message));
    let attributes = record.attributes.iter().map(attribute);
    attributes
        .fold(head, |record, attribute| record.bytes(6, attribute))
        .fixed(11, time)
}

fn attribute((name, value): &(&str, Value)) -> Message {
    let value = match value {
        Value::Text(text) => Message::default().bytes(1, text),
        Value::Number(number) => Message::default().number(3, *number),
    };
    Message::default().bytes(1, name).bytes(2, value)
}
