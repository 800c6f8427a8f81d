use bytes::Bytes;
use sluice_types::record::{LogRecord, Severity, Value, overhead};

use super::decode;
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};

const OBSERVED: u64 = 5;
const MEMORY: usize = 64 << 20;

fn decoded_within(
    memory: usize,
    most: usize,
    body: &Bytes,
) -> Result<(Decoded, Reservation), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    meter.measure(|meter| decode::json(body, OBSERVED, most, meter))
}

fn records(body: impl Into<Bytes>) -> Vec<LogRecord> {
    let (decoded, _) = decoded_within(MEMORY, 1000, &body.into()).unwrap();
    assert_eq!(decoded.rejected.len(), 0);
    decoded.records
}

fn record(body: &str) -> LogRecord {
    let [record] = <[_; 1]>::try_from(records(body.to_owned())).unwrap();
    record
}

fn attributes(record: &LogRecord) -> Vec<(&str, Value)> {
    let attributes = record.attributes.iter();
    attributes
        .map(|(name, value)| (&**name, value.clone()))
        .collect()
}

fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

#[test]
fn fluent_bit_sends_an_array() {
    let object = r#"{"timestamp":1795255814113,"ddsource":"src","service":"svc","message":"hello","level":"info","n":7}"#;
    for record in records(format!("[{object},{object}]")) {
        assert_eq!(record.body, "hello");
        assert_eq!(
            (record.timestamp, record.observed),
            (1_795_255_814_113_000_000, OBSERVED)
        );
        assert_eq!(record.severity, Severity::Info);
        let expected = [
            ("ddsource", text("src")),
            ("service.name", text("svc")),
            ("n", Value::Integer(7)),
        ];
        assert_eq!(attributes(&record), expected);
    }
}

#[test]
fn the_agent_names_host_and_tags() {
    let record = record(
        r#" {"message":"a\tline","status":"critical","timestamp":1795255814113,"hostname":"h",
            "service":"","ddsource":"go","ddtags":"env:prod,team:a,team:b,x"} "#,
    );
    assert_eq!(
        (&*record.body, record.severity),
        ("a\tline", Severity::Fatal)
    );
    let expected = [
        ("host.name", text("h")),
        ("ddsource", text("go")),
        ("ddtags", text("env:prod,team:a,team:b,x")),
    ];
    assert_eq!(attributes(&record), expected);
}

#[test]
fn the_probe_of_the_agent_is_no_record() {
    for body in ["{}", " { } ", "[]"] {
        assert!(records(body).is_empty(), "{body}");
    }
}

#[test]
fn a_time_or_severity_that_is_not_understood_stays() {
    let record = record(r#"{"msg":"m","timestamp":"noon","status":404,"level":"warn"}"#);
    assert_eq!(
        (record.timestamp, record.severity),
        (OBSERVED, Severity::Warn)
    );
    let expected = [("status", Value::Integer(404)), ("timestamp", text("noon"))];
    assert_eq!(attributes(&record), expected);
}

#[test]
fn times_and_severities_are_those_of_datadog() {
    for (field, timestamp, severity) in [
        (
            r#""date":"2026-11-21T10:10:14Z""#,
            1_795_255_814_000_000_000,
            Severity::Unspecified,
        ),
        (r#""timestamp":0"#, OBSERVED, Severity::Unspecified),
        (r#""timestamp":null,"status":3"#, OBSERVED, Severity::Error),
        (r#""status":8"#, OBSERVED, Severity::Unspecified),
        (r#""status":-1"#, OBSERVED, Severity::Unspecified),
        (r#""status":"emergency""#, OBSERVED, Severity::Fatal),
        (
            r#""severity":"debug","status":"ok""#,
            OBSERVED,
            Severity::Debug,
        ),
    ] {
        let record = record(&format!("{{{field}}}"));
        assert_eq!(
            (record.timestamp, record.severity),
            (timestamp, severity),
            "{field}"
        );
    }
}

#[test]
fn opentelemetrys_names_are_there_once() {
    let renamed = record(r#"{"service":"a","service.name":"b","host":"c","hostname":"d"}"#);
    let expected = [
        ("service", text("a")),
        ("service.name", text("b")),
        ("host", text("c")),
        ("host.name", text("d")),
    ];
    assert_eq!(attributes(&renamed), expected);
    let repeated = record(r#"{"service":"a","service":"b"}"#);
    assert_eq!(attributes(&repeated), [("service.name", text("b"))]);
}

#[test]
fn what_cannot_be_taken_apart_is_kept_as_it_is() {
    let many = format!("{{{}\"b\":2}}", "\"a\":1,".repeat(1024));
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    let wrong = r#"{"a":"\q"}"#;
    let body = format!("[{many},{deep},{wrong},\"a\\n\",\"\\q\",7,[1, 2],{{\"log\":{{\"a\":1}}}}]");
    let records = records(body);
    let bodies: Vec<_> = records.iter().map(|record| &*record.body).collect();
    let expected = [
        &*many,
        &*deep,
        wrong,
        "a\n",
        "\"\\q\"",
        "7",
        "[1, 2]",
        "{\"a\":1}",
    ];
    assert_eq!(bodies, expected);
    assert!(records.iter().all(|record| record.attributes.is_empty()));
}

#[test]
fn what_is_not_utf8_is_replaced() {
    assert_eq!(
        records(b"{\"message\":\"a\xff\"}".to_vec())[0].body,
        "a\u{fffd}"
    );
}

#[test]
fn a_body_that_is_something_else_is_malformed() {
    for body in [
        "", "7", "\"text\"", "[{]", "{\"a\":1", "{} {}", "[{}] x", "hello",
    ] {
        let refused = decoded_within(MEMORY, 10, &Bytes::from(body));
        assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{body}");
    }
}

#[test]
fn memory_is_charged_for_every_record_and_attribute() {
    let object = r#"{"message":"\n\n","a":1,"b":"2","c":[]}"#;
    let body = Bytes::from(format!("[{object}{}]", format!(",{object}").repeat(999)));
    let (_, reservation) = decoded_within(MEMORY, 1000, &body).unwrap();
    let spent = reservation.spent();
    assert!(spent > 1000 * overhead(3));
    assert!(decoded_within(spent, 1000, &body).is_ok());
    for (memory, most) in [(1000 * overhead(3), 1000), (MEMORY, 999)] {
        let refused = decoded_within(memory, most, &body);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn an_object_with_many_fields_costs_no_more_than_its_text() {
    let body = Bytes::from(format!("{{{}\"b\":2}}", "\"a\":1,".repeat(2_800_000)));
    let (decoded, reservation) = decoded_within(1 << 20, 10, &body).unwrap();
    assert_eq!(decoded.records[0].body.len(), body.len());
    assert_eq!(reservation.spent(), overhead(0));
}
