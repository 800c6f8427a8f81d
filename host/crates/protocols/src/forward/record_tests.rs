use bytes::Bytes;
use rmpv::Value as Packed;
use sluice_types::record::{Severity, Value};

use super::fields::ATTRIBUTES_MAX;
use super::message::Records;
use super::sample::*;

#[test]
fn the_first_present_text_is_the_body_and_the_rest_stays() {
    let fields = ["body", "msg", "message", "log"].map(|name| (name, text(name)));
    for (count, expected) in [(1, "body"), (2, "msg"), (3, "message"), (4, "log")] {
        let record = record(map(&fields[..count]));
        assert_eq!(&*record.body, expected);
        assert_eq!(record.attributes.len(), count);
    }
    let nil = record(map(&[("log", Packed::Nil), ("msg", text("m"))]));
    assert_eq!((&*nil.body, nil.attributes.len()), ("m", 1));
    let number = record(map(&[("message", Packed::from(7))]));
    assert_eq!(&*number.body, "7");
    let nested = record(map(&[("message", array(vec![Packed::from(7)]))]));
    assert_eq!(&*nested.body, "[7]");
    let empty = record(map(&[("log", text("")), ("msg", text("m"))]));
    assert_eq!((&*empty.body, empty.attributes.len()), ("", 2));
}

#[test]
fn a_record_without_a_text_is_json() {
    let fields = map(&[("i", Packed::from(0)), ("level", text("warn"))]);
    let fields = record(fields);
    assert_eq!(&*fields.body, r#"{"i":0,"level":"warn"}"#);
    assert_eq!(fields.severity, Severity::Warn);
    let expected = [tag("app.web"), ("i", Value::Integer(0))];
    assert_eq!(owned(attributes(&fields)), expected);
    assert_eq!(&*record(map(&[])).body, "{}");
    // What is no map is not lost either.
    assert_eq!(&*record(text("plain")).body, "plain");
    assert_eq!(&*record(array(vec![Packed::Nil])).body, "[null]");
}

#[test]
fn values_keep_their_types() {
    let record = record(map(&[
        ("log", text("l")),
        ("i", Packed::from(-7)),
        ("big", Packed::from(u64::MAX)),
        ("f", Packed::F64(1.5)),
        ("t", Packed::from(true)),
        ("n", Packed::Nil),
        ("b", Packed::Binary(vec![0xff])),
        ("u", Packed::Binary(b"text".to_vec())),
        ("x", Packed::Ext(9, vec![1, 2])),
        ("o", map(&[("k", array(vec![Packed::from(1)]))])),
    ]));
    let expected = [
        tag("app.web"),
        ("i", Value::Integer(-7)),
        ("big", Value::Json("18446744073709551615".into())),
        ("f", Value::Float(1.5)),
        ("t", Value::Boolean(true)),
        ("n", Value::Json("null".into())),
        ("b", Value::Bytes(Bytes::from_static(b"\xff"))),
        ("u", Value::Text("text".into())),
        ("x", Value::Bytes(Bytes::from_static(b"\x01\x02"))),
        ("o", Value::Json(r#"{"k":[1]}"#.into())),
    ];
    assert_eq!(owned(attributes(&record)), expected);
}

#[test]
fn text_that_is_not_utf8_is_kept_as_it_was() {
    let message = b"\x93\xa1t\xc0\x83\xa3log\xa3ab\xff\xa1v\xa1\xfe\xa1\xfd\x01";
    let Records { decoded, .. } = records(&message[..]);
    let record = &decoded.records[0];
    assert_eq!(&*record.body, "ab\u{fffd}");
    let expected = [
        tag("t"),
        ("v", Value::Bytes(Bytes::from_static(b"\xfe"))),
        ("\u{fffd}", Value::Integer(1)),
        (
            "log.record.original",
            Value::Bytes(Bytes::from_static(b"ab\xff")),
        ),
    ];
    assert_eq!(owned(attributes(record)), expected);
}

#[test]
fn each_name_is_there_once() {
    let record = record(map(&[
        ("k", Packed::from(1)),
        ("log", text("a")),
        ("container_name", text("/a")),
        ("fluent.tag", text("of the record")),
        ("k", Packed::from(2)),
        ("container.name", text("b")),
        ("log", text("b")),
    ]));
    assert_eq!(&*record.body, "b");
    let expected = [
        tag("app.web"),
        ("k", Value::Integer(2)),
        ("container.name", Value::Text("b".into())),
    ];
    assert_eq!(owned(attributes(&record)), expected);
    // The same name as text and as bytes.
    let message = b"\x93\xa1t\xc0\x83\xa3log\xa0\xa1k\x01\xc4\x01k\x02";
    let Records { decoded, .. } = records(&message[..]);
    let expected = [tag("t"), ("k", Value::Integer(2))];
    assert_eq!(owned(attributes(&decoded.records[0])), expected);
}

#[test]
fn a_severity_of_another_scale_stays_an_attribute() {
    let foreign = record(map(&[("log", text("")), ("level", Packed::from(30))]));
    assert_eq!(foreign.severity, Severity::Unspecified);
    assert_eq!(attributes(&foreign)[1], ("level", &Value::Integer(30)));
    let both = record(map(&[("level", text("x")), ("severity", Packed::from(17))]));
    assert_eq!(both.severity, Severity::Error);
    assert_eq!(attributes(&both)[1], ("level", &Value::Text("x".into())));
}

#[test]
fn a_record_without_a_time_has_that_of_its_arrival() {
    let record = record(map(&[("log", text("l"))]));
    assert_eq!((record.timestamp, record.observed), (OBSERVED, OBSERVED));
}

#[test]
fn as_many_attributes_as_may_be_are_kept() {
    let names: Vec<_> = (0..ATTRIBUTES_MAX).map(|n| n.to_string()).collect();
    let fields = |count| {
        let fields = names.iter().take(count).map(|name| (&**name, Packed::Nil));
        let log = [("log", text(""))].into_iter();
        let fields: Vec<_> = log.chain(fields).collect();
        pack(&array(vec![text("t"), Packed::Nil, map(&fields)]))
    };
    // One is the tag.
    let all = records(fields(ATTRIBUTES_MAX - 1));
    assert_eq!(all.decoded.records[0].attributes.len(), ATTRIBUTES_MAX);
    let reasons = reasons(records(fields(ATTRIBUTES_MAX)));
    assert!(reasons[0].1.contains("1024 attributes"), "{reasons:?}");
}
