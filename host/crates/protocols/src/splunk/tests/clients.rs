//! Events as clients send them.

use super::{OBSERVED, attributes, bodies, events, one, text};
use sluice_types::record::{Severity, Value};

#[test]
fn dockers_events_follow_each_other_without_anything_between() {
    let decoded = events(concat!(
        r#"{"event":{"line":"hello","source":"stdout","tag":"42add583103f"},"#,
        r#""time":"1795256481.895752","host":"vm"}"#,
        r#"{"event":{"line":"two","source":"stderr","tag":"42add583103f"},"#,
        r#""time":"1795256481.895766","host":"vm"}"#,
        r#"{"event":"684738026d2e raw","time":"1795256483.527820","host":"vm"}"#,
    ))
    .unwrap();
    assert_eq!(bodies(&decoded), ["hello", "two", "684738026d2e raw"]);
    let first = &decoded.records[0];
    assert_eq!(first.timestamp, 1_795_256_481_895_752_000);
    assert_eq!(first.observed, OBSERVED);
    assert_eq!(
        attributes(first),
        [
            ("host.name", &text("vm")),
            ("source", &text("stdout")),
            ("tag", &text("42add583103f"))
        ]
    );
    assert_eq!(
        attributes(&decoded.records[2]),
        [("host.name", &text("vm"))]
    );
}

#[test]
fn dockers_line_of_json_is_the_text() {
    let record = one(concat!(
        r#"{"event":{"line":{"a":1},"source":"stdout","attrs":{"app":"shop"}},"#,
        r#""time":"1795256482.730784","host":"vm","sourcetype":"st","index":"main"}"#,
    ));
    assert_eq!(&*record.body, r#"{"a":1}"#);
    assert_eq!(
        attributes(&record),
        [
            ("host.name", &text("vm")),
            ("splunk.sourcetype", &text("st")),
            ("splunk.index", &text("main")),
            ("source", &text("stdout")),
            ("attrs", &Value::Json(r#"{"app":"shop"}"#.into()))
        ]
    );
}

#[test]
fn winstons_message_is_found_in_its_object() {
    let record = one(concat!(
        r#"{"source":"winston","sourcetype":"winston-splunk-logger","index":"winston-index","#,
        r#""time":"1795257521.742","event":{"message":{"msg":"hello","meta":{"user":7,"#,
        r#""level":"info","message":"inner"}},"severity":"info"}}"#,
    ));
    assert_eq!((&*record.body, record.severity), ("hello", Severity::Info));
    assert_eq!(record.timestamp, 1_795_257_521_742_000_000);
    let message = r#"{"msg":"hello","meta":{"user":7,"level":"info","message":"inner"}}"#;
    assert_eq!(
        attributes(&record),
        [
            ("splunk.source", &text("winston")),
            ("splunk.sourcetype", &text("winston-splunk-logger")),
            ("splunk.index", &text("winston-index")),
            ("message", &Value::Json(message.into())),
        ]
    );
}

#[test]
fn fluent_bit_and_splunk_handler_send_numbers_as_times() {
    let record = one(concat!(
        r#"{"time":1795255818.762566,"host":"h1","sourcetype":"st","#,
        r#""event":{"message":"hello","level":"info","n":7}}"#
    ));
    assert_eq!((&*record.body, record.severity), ("hello", Severity::Info));
    assert_eq!(record.timestamp, 1_795_255_818_762_566_000);
    assert_eq!(attributes(&record)[2], ("n", &Value::Integer(7)));
    let decoded = events(concat!(
        r#"{"event": "hello", "host": "vm", "index": "main", "source": "/srv/app/client", "#,
        r#""sourcetype": "text", "time": 1795257521.6794133}"#,
        r#"{"event": "two", "host": "vm", "time": 1795257521.679542}"#
    ))
    .unwrap();
    assert_eq!(bodies(&decoded), ["hello", "two"]);
    assert_eq!(decoded.records[0].timestamp, 1_795_257_521_679_413_300);
    let source = ("splunk.source", &text("/srv/app/client"));
    assert_eq!(attributes(&decoded.records[0])[2], source);
}

#[test]
fn the_collectors_fields_are_attributes_and_its_severity_is_understood() {
    let record = one(concat!(
        r#"{"time":1,"event":"m","fields":{"otel.log.severity.number":13,"#,
        r#""otel.log.severity.text":"Warn","trace_id":"0102","tags":["a","b"]},"extra":true}"#
    ));
    assert_eq!(record.severity, Severity::Warn);
    assert_eq!(
        attributes(&record),
        [
            ("trace_id", &text("0102")),
            ("tags", &Value::Json(r#"["a","b"]"#.into())),
            ("extra", &Value::Boolean(true))
        ]
    );
    // What says something else stays.
    let record = one(r#"{"event":{"msg":"m","level":"error"},"fields":{"severity":"info"}}"#);
    assert_eq!(record.severity, Severity::Info);
    assert_eq!(attributes(&record), [("level", &text("error"))]);
    let record = one(r#"{"event":{"msg":"m","level":30}}"#);
    assert_eq!(record.severity, Severity::Unspecified);
    assert_eq!(attributes(&record), [("level", &Value::Integer(30))]);
}

#[test]
fn a_payload_without_a_text_is_the_text_itself() {
    let record = one(r#"{"event": {"user":"bob", "ok":true} }"#);
    assert_eq!(&*record.body, r#"{"user":"bob", "ok":true}"#);
    assert_eq!(attributes(&record)[0], ("user", &text("bob")));
    for (event, body) in [
        ("7", "7"),
        ("1.50", "1.50"),
        ("[1, 2]", "[1, 2]"),
        ("false", "false"),
        ("{}", "{}"),
        (r#"{"message":null,"log":"l"}"#, "l"),
        (r#"{"message":{},"log":"l"}"#, "l"),
        (r#"{"message":7}"#, "7"),
        (r#"{"line":"a\n","msg":"b"}"#, "a\n"),
        (r#"{"msg":"a","msg":"b"}"#, "b"),
        (r#""a\u003eb""#, "a>b"),
    ] {
        assert_eq!(&*one(format!("{{\"event\":{event}}}")).body, body);
    }
}

#[test]
fn a_name_counts_once_and_the_payload_counts_most() {
    let record = one(concat!(
        r#"{"event":{"msg":"m","a":1,"host.name":"inner"},"host":"outer","#,
        r#""fields":{"a":2,"b":3}}"#
    ));
    assert_eq!(
        attributes(&record),
        [
            ("host.name", &text("inner")),
            ("a", &Value::Integer(1)),
            ("b", &Value::Integer(3))
        ]
    );
    let record = one(r#"{"event":{"gone":1},"host":null,"source":"","event":"m","fields":null}"#);
    assert_eq!((&*record.body, record.attributes.len()), ("m", 0));
}
