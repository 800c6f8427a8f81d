//! Loki's push in protobuf: one stream, the attributes as structured metadata.

use super::protobuf::Message;
use super::{Record, SECONDS, SERVICE};
use crate::common::Fallible;

/// `PushRequest`, in snappy.
pub(crate) fn request(records: &[Record]) -> Fallible<Vec<u8>> {
    let labels = format!("{{service_name=\"{SERVICE}\", level=\"info\"}}");
    let entries = records.iter().map(entry);
    let stream = entries.fold(Message::default().bytes(1, labels), |stream, entry| {
        stream.bytes(2, entry)
    });
    let request = Message::default().bytes(1, stream);
    Ok(snap::raw::Encoder::new().compress_vec(&request.0)?)
}

fn entry(record: &Record) -> Message {
    let time = Message::default()
        .number(1, SECONDS)
        .number(2, record.nanos);
    let head = Message::default().bytes(1, time).bytes(2, &record.message);
    record.attributes.iter().fold(head, |entry, (name, value)| {
        let pair = Message::default().bytes(1, name).bytes(2, value.to_text());
        entry.bytes(3, pair)
    })
}
