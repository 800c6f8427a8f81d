//! Writes both forms as plainly as possible, to test the encoders with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::value::RawValue;
use sluice_types::record::{LogRecord, Severity, Value};

pub(super) fn text_line(record: &LogRecord) -> String {
    let escaped = record.body.chars().map(|character| {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            character.escape_default().to_string()
        } else {
            character.to_string()
        }
    });
    format!("{}\n", escaped.collect::<String>())
}

pub(super) fn json_line(record: &LogRecord) -> String {
    let time = |nanoseconds: u64| {
        let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap();
        string(&time.to_string())
    };
    let mut members = vec![
        format!("\"epoch\":{}", record.id.epoch),
        format!("\"sequence\":{}", record.id.sequence),
    ];
    let key = record.key.iter().filter(|key| !key.is_empty());
    members.extend(key.map(|key| format!("\"id\":{}", string(key))));
    members.push(format!("\"timestamp\":{}", time(record.timestamp)));
    members.push(format!("\"observed\":{}", time(record.observed)));
    if record.severity != Severity::Unspecified {
        let name = format!("{:?}", record.severity).to_lowercase();
        members.push(format!("\"severity\":{}", string(&name)));
    }
    members.push(format!("\"body\":{}", string(&record.body)));
    let attributes = record.attributes.iter();
    let attributes: Vec<_> = attributes
        .map(|(name, value)| format!("{}:{}", string(name), json_value(value)))
        .collect();
    if !attributes.is_empty() {
        members.push(format!("\"attributes\":{{{}}}", attributes.join(",")));
    }
    format!("{{{}}}\n", members.join(","))
}

fn json_value(value: &Value) -> String {
    match value {
        Value::Text(text) => string(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => serde_json::to_string(number).unwrap(),
        Value::Boolean(is_so) => is_so.to_string(),
        Value::Bytes(bytes) => string(&STANDARD.encode(bytes)),
        Value::Json(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if !text.contains(['\n', '\r']) => raw.get().to_owned(),
            _ => string(text),
        },
    }
}

fn string(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
