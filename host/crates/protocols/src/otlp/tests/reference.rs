//! What a request means, by another way: from the messages of
//! `opentelemetry-proto`, without sharing anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::severity;
use sluice_types::attributes::Attribute;
use sluice_types::record::{Severity, Text, keep_last_of_repeated};

/// The records of a request in their order; `None` for one with more attributes
/// or deeper values than there may be.
pub(super) fn records(request: &ExportLogsServiceRequest) -> Vec<Option<LogRecord>> {
    let mut records = Vec::new();
    for resource_logs in &request.resource_logs {
        for scope_logs in &resource_logs.scope_logs {
            let shared = shared(resource_logs, scope_logs);
            let each = scope_logs.log_records.iter();
            records.extend(each.map(|one| record(one, shared.clone()?)));
        }
    }
    records
}

fn shared(resource_logs: &ResourceLogs, scope_logs: &ScopeLogs) -> Option<Vec<Attribute>> {
    let mut shared = Vec::new();
    if let Some(resource) = &resource_logs.resource {
        for pair in &resource.attributes {
            shared.push((format!("resource.{}", pair.key).into(), attribute(pair)?));
        }
    }
    if let Some(scope) = &scope_logs.scope {
        for pair in &scope.attributes {
            shared.push((format!("scope.{}", pair.key).into(), attribute(pair)?));
        }
        for (name, text) in [
            ("scope.name", &scope.name),
            ("scope.version", &scope.version),
        ] {
            if !text.is_empty() {
                shared.push((name.into(), Value::Text(text.as_str().into())));
            }
        }
    }
    let is_too_much = shared.len() > 1024;
    keep_last_of_repeated(&mut shared);
    (!is_too_much).then_some(shared)
}

fn record(record: &ProtoRecord, shared: Vec<Attribute>) -> Option<LogRecord> {
    let mut own: Vec<Attribute> = Vec::new();
    let mut push = |name: &'static str, value| own.push((Text::from_static(name), value));
    if !record.event_name.is_empty() {
        push("event.name", Value::Text(record.event_name.as_str().into()));
    }
    let text = record.severity_text.as_str();
    let severity = severity::of_number(record.severity_number.into())
        .or_else(|| severity::of_name(text))
        .unwrap_or_default();
    let plain = match severity {
        Severity::Unspecified => "",
        Severity::Trace => "trace",
        Severity::Debug => "debug",
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Error => "error",
        Severity::Fatal => "fatal",
    };
    let synonym = ["warning", "err", "information", "informational"];
    let is_plain = |text: &str| {
        text == plain || synonym.contains(&text) && severity::of_name(text) == Some(severity)
    };
    if !text.is_empty() && !is_plain(&text.to_ascii_lowercase()) {
        push("severity_text", Value::Text(text.into()));
    }
    for (name, id, length) in [
        ("trace_id", &record.trace_id, 16),
        ("span_id", &record.span_id, 8),
    ] {
        if id.len() == length && id.iter().any(|byte| *byte > 0) {
            push(name, Value::Text(hex::encode(id).into()));
        }
    }
    let [trace_flags, ..] = record.flags.to_le_bytes();
    if trace_flags > 0 {
        push("trace_flags", Value::Integer(trace_flags.into()));
    }
    let mut given: Vec<Attribute> = Vec::new();
    for pair in &record.attributes {
        given.push((pair.key.as_str().into(), attribute(pair)?));
    }
    given.extend(own);
    if shared.len() + given.len() > 1024 {
        return None;
    }
    let mut all = shared;
    all.extend(given);
    keep_last_of_repeated(&mut all);
    let times = [record.time_unix_nano, record.observed_time_unix_nano];
    Some(LogRecord {
        timestamp: times
            .into_iter()
            .find(|time| *time != 0)
            .unwrap_or(OBSERVED),
        severity,
        attributes: all.into(),
        ..LogRecord::with_body(body(record)?, OBSERVED)
    })
}

fn body(record: &ProtoRecord) -> Option<Text> {
    let value = record.body.as_ref().and_then(|body| body.value.as_ref());
    Some(match value {
        None | Some(Any::StringValueStrindex(_)) => Text::new(),
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(other) => json(&any(other.clone()), 1)?.into(),
    })
}

fn attribute(pair: &KeyValue) -> Option<Value> {
    let Some(value) = &pair.value else {
        return Some(Value::Json("null".into()));
    };
    Some(match &value.value {
        Some(Any::StringValue(text)) => Value::Text(text.as_str().into()),
        Some(Any::BoolValue(boolean)) => Value::Boolean(*boolean),
        Some(Any::IntValue(integer)) => Value::Integer(*integer),
        Some(Any::DoubleValue(float)) => Value::Float(*float),
        Some(Any::BytesValue(bytes)) => Value::Bytes(bytes.clone().into()),
        _ => Value::Json(json(value, 1)?.into()),
    })
}

fn json(value: &AnyValue, level: usize) -> Option<String> {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let is_deep =
        matches!(value.value, Some(Any::ArrayValue(_) | Any::KvlistValue(_))) && level >= 32;
    Some(match &value.value {
        _ if is_deep => return None,
        None | Some(Any::StringValueStrindex(_)) => "null".to_owned(),
        Some(Any::StringValue(text)) => quoted(text),
        Some(Any::BoolValue(boolean)) => boolean.to_string(),
        Some(Any::IntValue(integer)) => integer.to_string(),
        Some(Any::DoubleValue(float)) if float.is_nan() => quoted("NaN"),
        Some(Any::DoubleValue(f64::INFINITY)) => quoted("Infinity"),
        Some(Any::DoubleValue(f64::NEG_INFINITY)) => quoted("-Infinity"),
        Some(Any::DoubleValue(float)) => serde_json::to_string(float).unwrap(),
        Some(Any::BytesValue(bytes)) => quoted(&STANDARD.encode(bytes)),
        Some(Any::ArrayValue(array)) => {
            let values = array.values.iter();
            let values: Option<Vec<_>> = values.map(|value| json(value, level + 1)).collect();
            format!("[{}]", values?.join(","))
        }
        Some(Any::KvlistValue(list)) => {
            let empty = AnyValue::default();
            let pair = |pair: &KeyValue| {
                let value = json(pair.value.as_ref().unwrap_or(&empty), level + 1)?;
                Some(format!("{}:{value}", quoted(&pair.key)))
            };
            let pairs: Option<Vec<_>> = list.values.iter().map(pair).collect();
            format!("{{{}}}", pairs?.join(","))
        }
    })
}
