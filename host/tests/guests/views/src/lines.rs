//! Both forms of lines, as plainly as the WIT says them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::bindings::sluice::sink::types::{LogRecord, Severity, Value};

pub(crate) fn text(record: &LogRecord) -> String {
    let mut line = String::new();
    for character in record.body.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

pub(crate) fn json(record: &LogRecord) -> String {
    let mut members = vec![
        format!("\"epoch\":{}", record.id.epoch),
        format!("\"sequence\":{}", record.id.sequence),
    ];
    let mut member = |name: &str, value: String| members.push(format!("\"{name}\":{value}"));
    if let Some(key) = record.key.as_ref().filter(|key| !key.is_empty()) {
        member("id", string(key));
    }
    member("timestamp", time(record.timestamp));
    member("observed", time(record.observed));
    if let Some(name) = severity(record.severity) {
        member("severity", string(name));
    }
    member("body", string(&record.body));
    if !record.attributes.is_empty() {
        let attributes = record.attributes.iter();
        let attributes: Vec<_> = attributes
            .map(|(name, value)| format!("{}:{}", string(name), json_value(value)))
            .collect();
        member("attributes", format!("{{{}}}", attributes.join(",")));
    }
    format!("{{{}}}\n", members.join(","))
}

fn json_value(value: &Value) -> String {
    match value {
        Value::Text(text) => string(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => serde_json::Value::from(*number).to_string(),
        Value::Boolean(is_so) => is_so.to_string(),
        Value::Bytes(bytes) => string(&STANDARD.encode(bytes)),
        Value::Json(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if !text.contains(['\n', '\r']) => raw.get().to_owned(),
            _ => string(text),
        },
    }
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn time(nanoseconds: u64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(time) => string(&time.to_string()),
        Err(error) => error.to_string(),
    }
}

const fn severity(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Unspecified => None,
        Severity::Trace => Some("trace"),
        Severity::Debug => Some("debug"),
        Severity::Info => Some("info"),
        Severity::Warn => Some("warn"),
        Severity::Error => Some("error"),
        Severity::Fatal => Some("fatal"),
    }
}
