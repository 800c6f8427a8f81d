//! The lossless binary form of records in a journal's frames. Numbers are
//! little-endian; a text is its length (u32) and its bytes.

use bytes::{Buf, Bytes};

use sluice_types::record::{LogRecord, RecordId, Severity, Text, Value};

/// The length that marks an absent text.
const ABSENT: u32 = u32::MAX;

/// Appends the record's binary form.
pub(super) fn encode(record: &LogRecord, out: &mut Vec<u8>) {
    for number in [
        record.id.epoch,
        record.id.sequence,
        record.timestamp,
        record.observed,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(severity_code(record.severity));
    match &record.key {
        Some(key) => put(key.as_bytes(), out),
        None => out.extend_from_slice(&ABSENT.to_le_bytes()),
    }
    put(record.body.as_bytes(), out);
    out.extend_from_slice(&length(record.attributes.len()).to_le_bytes());
    for (name, value) in &record.attributes {
        put(name.as_bytes(), out);
        put_value(value, out);
    }
}

/// Reads a record. Its texts share the memory of `bytes`. `None` if this is not
/// a record in the form that this version knows.
pub(super) fn decode(mut bytes: Bytes) -> Option<LogRecord> {
    let from = &mut bytes;
    let id = RecordId {
        epoch: from.try_get_u64_le().ok()?,
        sequence: from.try_get_u64_le().ok()?,
    };
    let timestamp = from.try_get_u64_le().ok()?;
    let observed = from.try_get_u64_le().ok()?;
    let severity = severity(from.try_get_u8().ok()?)?;
    let key = match from.try_get_u32_le().ok()? {
        ABSENT => None,
        length => Some(text(take(length, from)?)?),
    };
    let body = get_text(from)?;
    let count = from.try_get_u32_le().ok()?;
    // Each takes at least five bytes, so a wrong count cannot reserve too much.
    let mut attributes = Vec::with_capacity(usize::try_from(count).ok()?.min(from.len() / 5));
    for _ in 0..count {
        attributes.push((get_text(from)?, get_value(from)?));
    }
    from.is_empty().then_some(LogRecord {
        id,
        key,
        timestamp,
        observed,
        severity,
        body,
        attributes: attributes.into(),
    })
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Request bodies are bounded far below 4 GiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(ABSENT - 1)
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            out.push(0);
            put(text.as_bytes(), out);
        }
        Value::Integer(integer) => {
            out.push(1);
            out.extend_from_slice(&integer.to_le_bytes());
        }
        Value::Float(float) => {
            out.push(2);
            out.extend_from_slice(&float.to_le_bytes());
        }
        Value::Boolean(boolean) => {
            out.push(3);
            out.push(u8::from(*boolean));
        }
        Value::Bytes(bytes) => {
            out.push(4);
            put(bytes, out);
        }
        Value::Json(json) => {
            out.push(5);
            put(json.as_bytes(), out);
        }
    }
}

fn get_value(from: &mut Bytes) -> Option<Value> {
    Some(match from.try_get_u8().ok()? {
        0 => Value::Text(get_text(from)?),
        1 => Value::Integer(from.try_get_i64_le().ok()?),
        2 => Value::Float(from.try_get_f64_le().ok()?),
        3 => Value::Boolean(from.try_get_u8().ok()? != 0),
        4 => {
            let length = from.try_get_u32_le().ok()?;
            Value::Bytes(take(length, from)?)
        }
        5 => Value::Json(get_text(from)?),
        _ => return None,
    })
}

fn get_text(from: &mut Bytes) -> Option<Text> {
    let length = from.try_get_u32_le().ok()?;
    text(take(length, from)?)
}

fn text(bytes: Bytes) -> Option<Text> {
    Text::try_from(bytes).ok()
}

fn take(length: u32, from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}

const fn severity_code(severity: Severity) -> u8 {
    match severity {
        Severity::Unspecified => 0,
        Severity::Trace => 1,
        Severity::Debug => 2,
        Severity::Info => 3,
        Severity::Warn => 4,
        Severity::Error => 5,
        Severity::Fatal => 6,
    }
}

const fn severity(code: u8) -> Option<Severity> {
    Some(match code {
        0 => Severity::Unspecified,
        1 => Severity::Trace,
        2 => Severity::Debug,
        3 => Severity::Info,
        4 => Severity::Warn,
        5 => Severity::Error,
        6 => Severity::Fatal,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LogRecord {
        let text = Text::from_static;
        LogRecord {
            id: RecordId {
                epoch: u64::MAX,
                sequence: 7,
            },
            key: Some(text("")),
            timestamp: 1,
            observed: u64::MAX,
            severity: Severity::Fatal,
            body: text("a\n\u{2028}\"b\""),
            attributes: vec![
                (text("t"), Value::Text(text("x"))),
                (text("i"), Value::Integer(i64::MIN)),
                (text("f"), Value::Float(f64::NEG_INFINITY)),
                (text("b"), Value::Boolean(true)),
                (text("y"), Value::Bytes(vec![0, 255].into())),
                (text("j"), Value::Json(text("[1]"))),
            ]
            .into(),
        }
    }

    #[test]
    fn nothing_is_lost_on_the_way_and_back() {
        for record in [sample(), LogRecord::default()] {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            assert_eq!(decode(bytes.into()), Some(record));
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_none() {
        let mut bytes = Vec::new();
        encode(&sample(), &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(decode(Bytes::copy_from_slice(&bytes[..length])), None);
        }
        bytes.push(0);
        assert_eq!(decode(bytes.into()), None);
    }
}
