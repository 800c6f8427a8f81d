//! A message of Fluent Forward in the mode of Fluentd and Fluent Bit: entries
//! packed as bytes, not compressed, and a `chunk` to acknowledge.

use super::{Record, SECONDS, Value};

/// The bytes of a chunk's id.
pub(crate) const CHUNK_BYTES: usize = 24;
/// Stands for the id.
const NO_CHUNK: [u8; CHUNK_BYTES] = [b'0'; CHUNK_BYTES];

/// A message, which gets a new id each time that it is sent.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    /// Where the id begins.
    chunk: usize,
}

impl Message {
    /// Writes another id.
    pub(crate) fn set_chunk(&mut self, chunk: &[u8; CHUNK_BYTES]) {
        let place = self.bytes.iter_mut().skip(self.chunk);
        place.zip(chunk).for_each(|(byte, new)| *byte = *new);
    }
}

pub(crate) fn message(records: &[Record]) -> Message {
    let entries: Vec<u8> = records.iter().flat_map(entry).collect();
    let mut bytes = vec![0x93];
    push_text(&mut bytes, "app.orders");
    bytes.push(0xc6);
    bytes.extend((entries.len() as u32).to_be_bytes());
    bytes.extend(entries);
    bytes.push(0x82);
    push_text(&mut bytes, "size");
    push_number(&mut bytes, records.len() as u64);
    push_text(&mut bytes, "chunk");
    bytes.push(0xa0 | CHUNK_BYTES as u8);
    let chunk = bytes.len();
    bytes.extend(NO_CHUNK);
    Message { bytes, chunk }
}

/// The answer to the chunk with this id.
pub(crate) fn answer(chunk: &[u8; CHUNK_BYTES]) -> Vec<u8> {
    let mut answer = vec![0x81];
    push_text(&mut answer, "ack");
    answer.push(0xa0 | CHUNK_BYTES as u8);
    answer.extend(chunk);
    answer
}

fn entry(record: &Record) -> Vec<u8> {
    // An array of two, and an `EventTime`.
    let mut entry = vec![0x92, 0xd7, 0];
    entry.extend((SECONDS as u32).to_be_bytes());
    entry.extend((record.nanos as u32).to_be_bytes());
    entry.push(0x80 | (record.attributes.len() as u8 + 2));
    for (name, text) in [("level", "info"), ("message", &*record.message)] {
        push_text(&mut entry, name);
        push_text(&mut entry, text);
    }
    for (name, value) in &record.attributes {
        push_text(&mut entry, name);
        match value {
            Value::Text(text) => push_text(&mut entry, text),
            Value::Number(number) => push_number(&mut entry, *number),
        }
    }
    entry
}

/// A text of less than 256 bytes.
fn push_text(to: &mut Vec<u8>, text: &str) {
    let length = text.len() as u8;
    match length {
        ..32 => to.push(0xa0 | length),
        _ => to.extend([0xd9, length]),
    }
    to.extend(text.as_bytes());
}

/// A number of less than 65536.
fn push_number(to: &mut Vec<u8>, number: u64) {
    match number {
        ..128 => to.push(number as u8),
        _ => {
            to.push(0xcd);
            to.extend((number as u16).to_be_bytes());
        }
    }
}
