//! What is special to the form in protobuf.

use super::*;
use crate::text::ORIGINAL;
use sluice_types::record::Severity;

fn body(value: AnyValue) -> ProtoRecord {
    ProtoRecord {
        body: Some(value),
        ..ProtoRecord::default()
    }
}

fn encoded(record: ProtoRecord) -> Vec<u8> {
    let scope = InstrumentationScope::default();
    request(Vec::new(), scope, vec![record]).encode_to_vec()
}

fn decoded(record_of: ProtoRecord) -> LogRecord {
    record(protobuf::decode, encoded(record_of))
}

#[test]
fn a_missing_time_is_when_it_was_observed() {
    for (time_unix_nano, observed_time_unix_nano, expected) in
        [(3, 4, 3), (0, 4, 4), (0, 0, OBSERVED)]
    {
        let record = decoded(ProtoRecord {
            time_unix_nano,
            observed_time_unix_nano,
            ..ProtoRecord::default()
        });
        assert_eq!((record.timestamp, record.observed), (expected, OBSERVED));
    }
}

#[test]
fn a_severity_text_is_kept_where_it_says_more_than_the_number() {
    for (severity_number, text, severity, is_kept) in [
        (13, "WARN", Severity::Warn, false),
        (13, "", Severity::Warn, false),
        (9, "Information", Severity::Info, false),
        (9, "notice", Severity::Info, true),
        (10, "INFO2", Severity::Info, true),
        (9, "WARN", Severity::Info, true),
        (0, "warning", Severity::Warn, false),
        (0, "emerg", Severity::Fatal, true),
        (0, "odd", Severity::Unspecified, true),
        (99, "", Severity::Unspecified, false),
        (-1, "error", Severity::Error, false),
    ] {
        let record = decoded(ProtoRecord {
            severity_number,
            severity_text: text.to_owned(),
            ..ProtoRecord::default()
        });
        assert_eq!(record.severity, severity, "{severity_number} {text}");
        let kept = [("severity_text", Value::Text(text.into()))];
        assert_eq!(attributes(&record), kept[..usize::from(is_kept)]);
    }
}

#[test]
fn a_body_that_is_not_a_string_is_its_json_text() {
    let pairs = vec![
        key_value("a", nested(1, false)),
        key_value("b", AnyValue::default()),
    ];
    for (value, expected) in [
        (text("plain \"text\""), "plain \"text\""),
        (AnyValue::default(), ""),
        (any(Any::BoolValue(true)), "true"),
        (any(Any::IntValue(i64::MIN)), "-9223372036854775808"),
        (any(Any::DoubleValue(0.5)), "0.5"),
        (any(Any::DoubleValue(f64::NAN)), "\"NaN\""),
        (any(Any::BytesValue(vec![1, 2])), "\"AQI=\""),
        (nested(2, false), "[[\"x\"]]"),
        (
            any(Any::KvlistValue(KeyValueList { values: pairs })),
            r#"{"a":["x"],"b":null}"#,
        ),
        (any(Any::ArrayValue(ArrayValue::default())), "[]"),
        // Only profiles have such texts.
        (any(Any::StringValueStrindex(1)), ""),
    ] {
        let record = decoded(body(value));
        assert_eq!(&*record.body, expected);
        assert!(record.attributes.is_empty());
    }
}

#[test]
fn ids_flags_and_the_event_are_attributes() {
    let whole = ProtoRecord {
        trace_id: (0..16).map(|n| n | 0xa0).collect(),
        span_id: vec![0xef; 8],
        flags: 0xff01,
        event_name: "login".to_owned(),
        // The fields count more than attributes of their names.
        attributes: vec![
            key_value("trace_id", text("other")),
            key_value("n", text("v")),
        ],
        ..ProtoRecord::default()
    };
    let expected = [
        (
            "trace_id",
            Value::Text("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf".into()),
        ),
        ("n", Value::Text("v".into())),
        ("event.name", Value::Text("login".into())),
        ("span_id", Value::Text("efefefefefefefef".into())),
        ("trace_flags", Value::Integer(1)),
    ];
    assert_eq!(attributes(&decoded(whole)), expected);
    for (trace_id, span_id) in [(vec![0; 16], vec![0; 8]), (vec![1; 15], vec![1; 9])] {
        let record = decoded(ProtoRecord {
            trace_id,
            span_id,
            ..ProtoRecord::default()
        });
        assert!(record.attributes.is_empty());
    }
}

#[test]
fn of_repeated_attributes_the_last_counts() {
    let attributes_of = |names: &[&str]| {
        let numbered = names.iter().zip(0..);
        let value = |(name, n): (&&str, i64)| key_value(name, any(Any::IntValue(n)));
        numbered.map(value).collect::<Vec<_>>()
    };
    let record_of = ProtoRecord {
        attributes: attributes_of(&["a", "b", "a", "resource.r", "scope.s"]),
        ..ProtoRecord::default()
    };
    let scope = InstrumentationScope {
        attributes: attributes_of(&["s", "t", "s"]),
        ..InstrumentationScope::default()
    };
    let request = request(attributes_of(&["r", "q"]), scope, vec![record_of]);
    let record = record(protobuf::decode, request.encode_to_vec());
    let expected = [
        ("resource.r", 3),
        ("resource.q", 1),
        ("scope.s", 4),
        ("scope.t", 1),
        ("a", 2),
        ("b", 1),
    ];
    let expected = expected.map(|(name, n)| (name, Value::Integer(n)));
    assert_eq!(attributes(&record), expected);
}

#[test]
fn what_is_no_text_is_kept_as_it_was() {
    let value = field(1, b"v\xff");
    let attribute = [field(1, b"k\xff"), field(2, &value)].concat();
    let array = field(5, field(1, &value));
    let fields = [
        field(3, b"s\xff"),
        field(5, &value),
        field(6, &attribute),
        field(6, [field(1, "nested"), field(2, &array)].concat()),
        field(12, b"e\xff"),
    ];
    let record = record(protobuf::decode, request_of(&[&fields.concat()]));
    assert_eq!(&*record.body, "v\u{fffd}");
    let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    let expected = [
        ("k\u{fffd}", bytes(b"v\xff")),
        ("nested", Value::Json("[\"v\u{fffd}\"]".into())),
        (&*ORIGINAL, bytes(b"v\xff")),
        ("event.name", bytes(b"e\xff")),
        ("severity_text", bytes(b"s\xff")),
    ];
    assert_eq!(attributes(&record), expected);
}

#[test]
fn resources_and_scopes_may_follow_their_records() {
    let attribute = [field(1, "k"), field(2, field(1, "v"))].concat();
    let scope = [field(2, field(5, field(1, "b"))), field(1, field(1, "s"))];
    let resource = [field(2, scope.concat()), field(1, field(1, &attribute))];
    let record = record(protobuf::decode, field(1, resource.concat()));
    let expected = [
        ("resource.k", Value::Text("v".into())),
        ("scope.name", Value::Text("s".into())),
    ];
    assert_eq!(attributes(&record), expected);
}

#[test]
fn a_message_in_several_pieces_is_merged() {
    let array = |value: &str| field(5, field(1, field(1, value)));
    let attribute = [field(2, array("a")), field(1, "k"), field(2, array("b"))].concat();
    let late_text = [
        field(2, array("a")),
        field(1, "t"),
        field(2, field(1, "late")),
    ]
    .concat();
    let fields = [
        field(5, array("a")),
        field(6, &attribute),
        field(6, &late_text),
        field(5, [array("b"), array("c")].concat()),
    ];
    let body = Bytes::from(request_of(&[&fields.concat()]));
    let range = body.as_ptr_range();
    let record = record(protobuf::decode, body.clone());
    assert_eq!(&*record.body, r#"["a","b","c"]"#);
    let expected = [
        ("k", Value::Json(r#"["a","b"]"#.into())),
        ("t", Value::Text("late".into())),
    ];
    assert_eq!(attributes(&record), expected);
    // A record with such a message shares no memory with what it was joined in.
    let (name, _) = record.attributes.iter().next().unwrap();
    assert!(!range.contains(&name.as_bytes().as_ptr()));
}

#[test]
fn a_record_that_cannot_be_read_is_refused_alone() {
    let good = field(5, field(1, "good"));
    for (bad, reason) in [
        (&b"\x0a\x01a"[..], "time_unix_nano has the wrong wire type"),
        (b"\x2a\x02\x0a\x05", "ends within a field"),
        (b"\x32\x01\x0b", "group"),
        (b"\x1b\x1c", "group"),
        (b"\x2a\x06\x2a\x04\x0a\x02\x08\x01", "string_value has"),
    ] {
        let body = request_of(&[&good, bad, &good]);
        let (decoded, _) = decode(protobuf::decode, MEMORY, body).unwrap();
        assert_eq!(decoded.records.len(), 2);
        let rejections = decoded.rejected.merge(Vec::new()).listed;
        assert_eq!(rejections[0].index, 1);
        let said = &rejections[0].reason;
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn records_whose_resource_or_scope_cannot_be_read_are_refused() {
    let scope_logs = |scope: &[u8]| field(2, [field(2, b""), field(1, scope)].concat());
    let good = field(1, scope_logs(b""));
    for (bad, reason) in [
        (
            [field(1, b"\x08\x01"), scope_logs(b"")].concat(),
            "resource: not valid",
        ),
        (
            [field(1, b""), scope_logs(b"\x0b")].concat(),
            "scope: not valid",
        ),
    ] {
        let body = [good.clone(), field(1, bad), good.clone()].concat();
        let (decoded, _) = decode(protobuf::decode, MEMORY, body).unwrap();
        assert_eq!(decoded.records.len(), 2);
        let [said] = &reasons(decoded.rejected)[..] else {
            panic!("one was refused");
        };
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_body_whose_records_cannot_be_told_apart_is_malformed() {
    for body in [
        &b"\x08\x01"[..],
        b"\x0a\x05\x12",
        b"\x0b\x0c",
        b"\x0a\x02\x12\x05",
        b"\x0a\x02\x10\x05",
        b"\x0a\x04\x12\x02\x12\x05",
        b"\x0a\x04\x12\x02\x10\x05",
        b"{\"resourceLogs\":[]}",
    ] {
        let refused = decode(protobuf::decode, MEMORY, body);
        assert!(
            matches!(refused, Err(DecodeError::Malformed(_))),
            "{body:?}"
        );
    }
    assert!(records(protobuf::decode, "").is_empty());
}

#[test]
fn unknown_fields_are_skipped() {
    let unknown = b"\xa0\x06\x01\xa1\x06\0\0\0\0\0\0\0\0\xa2\x06\x01a\xa5\x06\0\0\0\0";
    let value = [&unknown[..], &field(1, "b"), unknown].concat();
    let record_of = [&unknown[..], &field(5, &value), unknown].concat();
    let scope = [unknown, &field(2, &record_of)[..], unknown].concat();
    let resource = [unknown, &field(2, &scope)[..], unknown].concat();
    let body = [unknown, &field(1, &resource)[..], unknown].concat();
    assert_eq!(&*record(protobuf::decode, body).body, "b");
}
