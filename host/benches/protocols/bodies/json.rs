//! The forms in JSON.

use super::{Record, SECONDS, SERVICE, Value};

/// An object per line, as the node's own route takes it.
pub(crate) fn lines(records: &[Record]) -> Vec<u8> {
    let line = |record: &Record| format!("{}\n", object(record, "time"));
    records.iter().map(line).collect::<String>().into()
}

/// Documents behind their actions, without ids, as Fluent Bit sends them.
pub(crate) fn bulk(records: &[Record]) -> Vec<u8> {
    let item = |record: &Record| {
        let document = object(record, "@timestamp");
        format!("{{\"create\":{{\"_index\":\"logs\"}}}}\n{document}\n")
    };
    records.iter().map(item).collect::<String>().into()
}

fn object(record: &Record, time: &str) -> String {
    let attribute = |(name, value): &(_, Value)| format!(",\"{name}\":{}", value.to_json());
    let attributes: String = record.attributes.iter().map(attribute).collect();
    format!(
        "{{\"{time}\":\"2026-11-20T09:00:00.{:03}Z\",\"level\":\"info\",\"message\":\"{}\"{attributes}}}",
        record.nanos / 1_000_000,
        record.message
    )
}

/// A request of OTLP.
pub(crate) fn otlp(records: &[Record]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(otlp_record).collect();
    let service = otlp_attribute(&("service.name", Value::Text(SERVICE.to_owned())));
    let text = format!(
        "{{\"resourceLogs\":[{{\"resource\":{{\"attributes\":[{service}]}},\"scopeLogs\":[{{\
         \"scope\":{{\"name\":\"orders\"}},\"logRecords\":[{}]}}]}}]}}",
        records.join(",")
    );
    text.into()
}

fn otlp_record(record: &Record) -> String {
    let time = SECONDS * 1_000_000_000 + record.nanos;
    let attributes: Vec<_> = record.attributes.iter().map(otlp_attribute).collect();
    format!(
        "{{\"timeUnixNano\":\"{time}\",\"observedTimeUnixNano\":\"{time}\",\"severityNumber\":9,\
         \"severityText\":\"INFO\",\"body\":{{\"stringValue\":\"{}\"}},\"attributes\":[{}]}}",
        record.message,
        attributes.join(",")
    )
}

fn otlp_attribute((name, value): &(&str, Value)) -> String {
    let value = match value {
        Value::Text(text) => format!("\"stringValue\":\"{text}\""),
        Value::Number(number) => format!("\"intValue\":\"{number}\""),
    };
    format!("{{\"key\":\"{name}\",\"value\":{{{value}}}}}")
}
