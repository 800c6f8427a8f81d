//! What a collector reads.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use sluice_sink::testing::{Destination, batch, open, record};
use sluice_sink::{Batch, Refusals, Severity, Value};

use super::{ORIGIN, bodies, config, decode, records};
use crate::Otlp;

fn send(fields: &str, batch: &Batch) -> ExportLogsServiceRequest {
    let destination = Destination::script(ORIGIN, []);
    let mut sink = open::<Otlp>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    let request = destination.requests().remove(0);
    assert_eq!(
        request.header("content-type"),
        Some("application/x-protobuf")
    );
    decode(&request)
}

fn any(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Option<AnyValue> {
    any(Any::StringValue(text.to_owned()))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource {
        attributes,
        ..Resource::default()
    })
}

#[test]
fn every_field_arrives_in_its_place() {
    let first = record("disk full")
        .id(7, 42)
        .timestamp(1)
        .observed(u64::MAX)
        .severity(Severity::Error)
        .attribute("resource.host.name", "a")
        .attribute("service.name", "web")
        .attribute("scope.name", "lib")
        .attribute("scope.version", "1.0")
        .attribute("scope.x", true)
        .attribute("trace_id", "0102030405060708090a0b0c0d0e0fFF")
        .attribute("span_id", "0000000000000001")
        .attribute("trace_flags", 1)
        .attribute("event.name", "disk.full")
        .attribute("severity_text", "ERR!")
        .attribute("path", "/var");
    let second = record("").id(7, 43).attribute("log.record.uid", "mine");
    let request = send("", &batch([first, second]));
    let mut trace_id: Vec<u8> = (1..=16).collect();
    trace_id[15] = 0xff;
    let expected = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: u64::MAX,
        severity_number: 17,
        severity_text: "ERR!".to_owned(),
        body: text("disk full"),
        attributes: vec![
            pair("path", text("/var")),
            pair("log.record.uid", text("7-42")),
        ],
        flags: 1,
        trace_id,
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 1],
        event_name: "disk.full".to_owned(),
        ..LogRecord::default()
    };
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.0".to_owned(),
        attributes: vec![pair("x", any(Any::BoolValue(true)))],
        ..InstrumentationScope::default()
    };
    let logs = &request.resource_logs;
    assert_eq!(logs.len(), 2);
    let described = vec![
        pair("host.name", text("a")),
        pair("service.name", text("web")),
    ];
    assert_eq!(logs[0].resource, resource(described));
    assert_eq!(logs[0].scope_logs[0].scope, Some(scope));
    assert_eq!(logs[0].scope_logs[0].log_records, [expected]);
    assert_eq!(logs[1].resource, resource(Vec::new()));
    assert_eq!(logs[1].scope_logs[0].scope, None);
    let second = &logs[1].scope_logs[0].log_records[0];
    assert_eq!(second.attributes, [pair("log.record.uid", text("mine"))]);
    assert_eq!(second.severity_number, 0);
    assert_eq!(second.body, text(""));
}

#[test]
fn every_type_of_value_arrives() {
    let nested = r#"{"b": [1, -2.5, null, true, 18446744073709551615], "a": {"c": "d"}}"#;
    let sent = record("x")
        .attribute("integer", i64::MIN)
        .attribute("float", -0.5)
        .attribute("not a number", f64::NAN)
        .attribute("no", false)
        .attribute("bytes", vec![0u8, 255])
        .attribute("long", "x".repeat(300))
        .attribute("json", Value::Json(nested.to_owned()))
        .attribute("broken", Value::Json("{".to_owned()));
    let request = send(r#""record_id": false"#, &batch([sent]));
    let mut found = request.resource_logs[0].scope_logs[0].log_records[0]
        .attributes
        .clone();
    let Some(Any::DoubleValue(nan)) = found.remove(2).value.and_then(|any| any.value) else {
        panic!("not a float");
    };
    assert!(nan.is_nan());
    let numbers = [
        any(Any::IntValue(1)),
        any(Any::DoubleValue(-2.5)),
        Some(AnyValue { value: None }),
        any(Any::BoolValue(true)),
        any(Any::DoubleValue(18_446_744_073_709_551_615.0)),
    ];
    let values = numbers.into_iter().flatten().collect();
    let list = |values| any(Any::KvlistValue(KeyValueList { values }));
    let json = list(vec![
        pair("a", list(vec![pair("c", text("d"))])),
        pair("b", any(Any::ArrayValue(ArrayValue { values }))),
    ]);
    let expected = [
        pair("integer", any(Any::IntValue(i64::MIN))),
        pair("float", any(Any::DoubleValue(-0.5))),
        pair("no", any(Any::BoolValue(false))),
        pair("bytes", any(Any::BytesValue(vec![0, 255]))),
        pair("long", text(&"x".repeat(300))),
        pair("json", json),
        pair("broken", text("{")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_does_not_fit_into_a_field_stays_an_attribute() {
    let sent = record("x")
        .attribute("trace_id", "0102")
        .attribute("span_id", "000000000000000g")
        .attribute("trace_flags", 256)
        .attribute("event.name", "")
        .attribute("severity_text", 3)
        .attribute("resource.service.name", "a")
        .attribute("service.name", "b");
    let sent = [
        sent,
        record("y").attribute("trace_id", "0".repeat(32)),
        record("z").attribute("span_id", "é".repeat(8)),
    ];
    let request = send(r#""record_id": false"#, &batch(sent));
    let of_first = &request.resource_logs[0];
    assert_eq!(
        of_first.resource,
        resource(vec![pair("service.name", text("a"))])
    );
    let found = &of_first.scope_logs[0].log_records[0];
    let names: Vec<_> = found.attributes.iter().map(|pair| &pair.key).collect();
    let expected = [
        "trace_id",
        "span_id",
        "trace_flags",
        "event.name",
        "severity_text",
        "service.name",
    ];
    assert_eq!(names, expected);
    assert!(found.trace_id.is_empty() && found.span_id.is_empty());
    let rest = &request.resource_logs[1].scope_logs[0].log_records;
    assert_eq!(rest[0].attributes[0].key, "trace_id");
    assert_eq!(rest[1].attributes[0].key, "span_id");
}

#[test]
fn records_of_one_place_are_together() {
    let places = [("a", "x"), ("b", "x"), ("a", "x"), ("a", "y"), ("b", "x")];
    let sent = places.iter().zip(0..).map(|((host, scope), number)| {
        record(format!("{number}"))
            .attribute("host.name", *host)
            .attribute("scope.name", *scope)
    });
    let request = send(r#""resource": ["host.name"]"#, &batch(sent));
    let found: Vec<(usize, Vec<usize>)> = request
        .resource_logs
        .iter()
        .map(|logs: &ResourceLogs| {
            let counts = logs.scope_logs.iter();
            let count = |scope: &ScopeLogs| scope.log_records.len();
            (logs.scope_logs.len(), counts.map(count).collect())
        })
        .collect();
    assert_eq!(found, [(2, vec![2, 1]), (1, vec![2])]);
}

#[test]
fn requests_have_a_bounded_size() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""max_body_kib": 4, "compression": "gzip", "concurrency": 2"#;
    let mut sink = open::<Otlp>(&config(fields)).unwrap();
    let sent = (0..40).map(|n| {
        let size = if n == 20 { 5000 } else { 400 };
        record(format!("{n:0>size$}")).attribute("service.name", format!("s{}", n % 3))
    });
    assert_eq!(sink.write(&batch(sent)), Ok(Refusals::none()));
    let requests = destination.requests();
    assert_eq!(destination.most_at_once(), 2);
    let mut all: Vec<String> = requests.iter().flat_map(bodies).collect();
    all.sort_by_key(|text| text.trim_start_matches('0').parse::<u32>().unwrap_or(0));
    assert_eq!(all.len(), 40);
    assert!(
        all.iter()
            .zip(0..)
            .all(|(text, n)| text.ends_with(&format!("{n}")))
    );
    let sizes = requests
        .iter()
        .map(|request| (request.content().len(), records(request).len()));
    for (size, count) in sizes {
        assert!(size <= 4096 || count == 1, "{count} records, {size} bytes");
    }
    assert!(requests.len() <= 8, "{}", requests.len());
    let fields = r#""max_records": 3"#;
    let mut sink = open::<Otlp>(&config(fields)).unwrap();
    let before = destination.requests().len();
    sink.write(&batch((0..7).map(|_| record("x")))).unwrap();
    assert_eq!(destination.requests().len(), before + 3);
}

#[test]
fn what_is_written_reads_back_as_the_same_bytes() {
    let sent = (0..20).map(|n| {
        record("b".repeat(n * 13))
            .attribute("resource.n", i64::try_from(n / 3).unwrap())
            .attribute("scope.name", "s".repeat(1 + n % 2))
    });
    let destination = Destination::script(ORIGIN, []);
    let mut sink = open::<Otlp>(&config("")).unwrap();
    sink.write(&batch(sent)).unwrap();
    let bytes = destination.requests().remove(0).content();
    let decoded = ExportLogsServiceRequest::decode(&*bytes).unwrap();
    // The order of a record's fields is not fixed, but their size is.
    assert_eq!(decoded.encoded_len(), bytes.len());
}
