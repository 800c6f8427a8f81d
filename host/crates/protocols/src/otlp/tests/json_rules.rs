//! What is special to the form in JSON.

use super::*;
use sluice_types::record::Severity;

fn decoded(fields: &str) -> LogRecord {
    record(json::decode, json_of(&[fields]))
}

fn attribute(value: &str) -> Value {
    let record = decoded(&format!(
        r#""attributes":[{{"key":"k","value":{{{value}}}}}]"#
    ));
    let (name, value) = record.attributes.iter().next().unwrap();
    assert_eq!(&**name, "k");
    value.clone()
}

fn refused(fields: &str) -> String {
    let (decoded, _) = decode(json::decode, MEMORY, json_of(&[fields])).unwrap();
    let [reason] = <[_; 1]>::try_from(reasons(decoded.rejected)).unwrap();
    reason
}

#[test]
fn whole_numbers_are_numbers_or_texts() {
    for (value, expected) in [
        ("7", 7),
        ("\"7\"", 7),
        ("\"-9223372036854775808\"", i64::MIN),
        ("9223372036854775807", i64::MAX),
        ("7.0", 7),
        ("\"1e3\"", 1000),
    ] {
        let value = attribute(&format!("\"intValue\":{value}"));
        assert_eq!(value, Value::Integer(expected));
    }
    for time in ["1500000000000000000", "\"1500000000000000000\"", "1.5e18"] {
        let record = decoded(&format!("\"timeUnixNano\":{time}"));
        assert_eq!(record.timestamp, 1_500_000_000_000_000_000);
    }
    let last = format!("\"observedTimeUnixNano\":\"{}\"", u64::MAX);
    assert_eq!(decoded(&last).timestamp, u64::MAX);
    for wrong in [
        "1.5",
        "\"1.5\"",
        "\"\"",
        "true",
        "{}",
        "9223372036854775808",
        "1e40",
        "\"NaN\"",
    ] {
        let reason = refused(&format!(
            r#""attributes":[{{"key":"k","value":{{"intValue":{wrong}}}}}]"#
        ));
        assert!(reason.contains("is not a whole number"), "{reason}");
    }
}

#[test]
fn values_are_read_in_each_type() {
    for (value, expected) in [
        (r#""stringValue":"a\nb""#, Value::Text("a\nb".into())),
        (r#""stringValue":"""#, Value::Text("".into())),
        (r#""boolValue":false"#, Value::Boolean(false)),
        (r#""doubleValue":1"#, Value::Float(1.0)),
        (r#""doubleValue":"0.25""#, Value::Float(0.25)),
        (
            r#""doubleValue":"-Infinity""#,
            Value::Float(f64::NEG_INFINITY),
        ),
        // The last digit counts.
        (
            r#""doubleValue":0.30000000000000004"#,
            Value::Float(0.1 + 0.2),
        ),
        (
            r#""bytesValue":"_-8""#,
            Value::Bytes(Bytes::from_static(b"\xff\xef")),
        ),
        (
            r#""bytesValue":"/+8=""#,
            Value::Bytes(Bytes::from_static(b"\xff\xef")),
        ),
        (r#""bytesValue":"""#, Value::Bytes(Bytes::new())),
        (r#""arrayValue":{}"#, Value::Json("[]".into())),
        (r#""kvlistValue":{"values":null}"#, Value::Json("{}".into())),
        ("", Value::Json("null".into())),
        (
            r#""stringValue":null,"future":[{}]"#,
            Value::Json("null".into()),
        ),
        (r#""arrayValue":null"#, Value::Json("null".into())),
        (
            r#""intValue":1,"stringValue":"last""#,
            Value::Text("last".into()),
        ),
    ] {
        assert_eq!(attribute(value), expected, "{value}");
    }
}

#[test]
fn nested_values_become_json_in_one_form() {
    let value = r#""kvlistValue": {"values": [
        {"value": {"stringValue": "\u0061\u00e9\u0001"}, "key": "ea\u0072ly"},
        {"key": "n", "value": {"intValue": "12"}},
        {"key": "f", "value": {"doubleValue": 1}},
        {"key": "b", "value": {"bytesValue": "_w"}},
        {"key": "null", "value": null}, {"key": "none"}, {},
        {"value": {"boolValue": true}},
        {"key": "twice", "value": {"intValue": 1, "arrayValue": {"values": [{}, null]}}}]}"#;
    let expected = concat!(
        r#"{"early":"aé\u0001","n":12,"f":1.0,"b":"/w==","null":null,"none":null,"":null,"#,
        r#""":true,"twice":[null,null]}"#
    );
    assert_eq!(attribute(value), Value::Json(expected.into()));
    let body = decoded(&format!("\"body\":{{{value}}}"));
    assert_eq!(&*body.body, expected);
}

#[test]
fn ids_are_hexadecimal_in_any_case() {
    let record = decoded(
        r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","flags":1"#,
    );
    let expected = [
        (
            "trace_id",
            Value::Text("5b8efff798038103d269b633813fc60c".into()),
        ),
        ("span_id", Value::Text("eee19b7ec3c1b174".into())),
        ("trace_flags", Value::Integer(1)),
    ];
    assert_eq!(attributes(&record), expected);
    let none = decoded(r#""traceId":"","spanId":"0000000000000000","traceId":"xyz""#);
    assert!(none.attributes.is_empty());
}

#[test]
fn a_severity_is_a_number_or_the_name_of_one() {
    for (severity, expected) in [
        ("17", Severity::Error),
        ("\"17\"", Severity::Error),
        ("\"SEVERITY_NUMBER_WARN\"", Severity::Warn),
        ("\"SEVERITY_NUMBER_DEBUG3\"", Severity::Debug),
        ("\"SEVERITY_NUMBER_UNSPECIFIED\"", Severity::Unspecified),
        ("null", Severity::Unspecified),
    ] {
        let record = decoded(&format!("\"severityNumber\":{severity}"));
        assert_eq!(record.severity, expected, "{severity}");
    }
}

#[test]
fn unknown_names_and_null_are_ignored() {
    let body = r#" {"future": {"a": [1]}, "resourceLogs": [{"schemaUrl": "x", "resource": null,
        "entityRefs": [], "scopeLogs": [{"scope": null, "schemaUrl": "x", "logRecords": [
        {"body": null, "attributes": null, "severityText": null, "eventName": null,
        "timeUnixNano": null, "traceId": null, "flags": null, "time_unix_nano": 5,
        "droppedAttributesCount": 1}]}, null, {"logRecords": null}]}, {}], "last": null} "#;
    let record = record(json::decode, body);
    assert_eq!(record, LogRecord::with_body("".into(), OBSERVED));
    for empty in ["{}", r#"{"resourceLogs":[]}"#, r#"{"resourceLogs":null}"#] {
        assert!(records(json::decode, empty).is_empty());
    }
}

#[test]
fn resources_and_scopes_may_follow_their_records() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[
        {"logRecords":[{"body":{"stringValue":"b"}}],"scope":{"name":"s"}}],
        "resource":{"attributes":[{"value":{"stringValue":"v"},"key":"k"}]}}]}"#;
    let expected = [
        ("resource.k", Value::Text("v".into())),
        ("scope.name", Value::Text("s".into())),
    ];
    assert_eq!(attributes(&record(json::decode, body)), expected);
}

#[test]
fn a_record_that_cannot_be_read_is_refused_alone() {
    let long = "x".repeat(1 << 20);
    for bad in [
        r#""timeUnixNano":"noon""#.to_owned(),
        r#""body":"text""#.to_owned(),
        r#""body":[]"#.to_owned(),
        format!(r#""body":"{long}""#),
        format!(r#""attributes":"{long}""#),
        format!(r#""attributes":["{long}"]"#),
        format!(r#""timeUnixNano":"{long}""#),
        r#""attributes":{}"#.to_owned(),
        r#""attributes":[{"key":7}]"#.to_owned(),
        r#""body":{"stringValue":7}"#.to_owned(),
        r#""body":{"boolValue":"true"}"#.to_owned(),
        r#""body":{"bytesValue":"*"}"#.to_owned(),
        r#""body":{"doubleValue":1e400}"#.to_owned(),
        r#""body":{"stringValue":"\ud800"}"#.to_owned(),
        r#""body":{"arrayValue":{"values":[{"intValue":"x"}]}}"#.to_owned(),
        r#""body":{"kvlistValue":{"values":[{"key":"a","key":"b"}]}}"#.to_owned(),
        r#""traceId":7"#.to_owned(),
    ] {
        let good = r#""body":{"stringValue":"good"}"#;
        let body = json_of(&[good, &bad, good]);
        let (decoded, _) = decode(json::decode, MEMORY, body).unwrap();
        assert_eq!(decoded.records.len(), 2);
        let rejections = decoded.rejected.merge(Vec::new()).listed;
        assert_eq!(rejections[0].index, 1);
        let reason = &rejections[0].reason;
        assert!(reason.contains("not a record in JSON: "), "{reason}");
        assert!(reason.chars().count() < 200, "{reason}");
    }
    let not_objects = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[1,null,"x",[],{}]}]}]}"#;
    let (decoded, _) = decode(json::decode, MEMORY, not_objects).unwrap();
    assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 4));
}

#[test]
fn a_reason_says_what_is_wrong_and_where() {
    for (fields, place, expected) in [
        (
            r#""timeUnixNano":"noon""#,
            "\"noon\"",
            "\"noon\" is not a whole number",
        ),
        (r#""body":[]"#, "[]", "expected an object (a value)"),
        (r#""attributes":[{"key":7}]"#, "7}", "7 is not a text"),
        (
            r#""attributes":[{"key":"a","value":{"intValue":"x"}}]"#,
            "\"x\"",
            "\"x\" is not a whole number",
        ),
        (
            r#""body":{"bytesValue":"*"}"#,
            "\"*\"",
            "\"*\" is not base64",
        ),
    ] {
        let at = json_of(&[fields]).find(place).unwrap();
        let expected = format!("not a record in JSON: {expected} at byte {at}");
        assert_eq!(refused(fields), expected);
    }
    let Err(DecodeError::Malformed(reason)) =
        decode(json::decode, MEMORY, r#"{"resourceLogs":[7]}"#)
    else {
        panic!("it is no request");
    };
    assert!(
        reason.ends_with("in JSON: expected an object (resourceLogs) at byte 17"),
        "{reason}"
    );
}

#[test]
fn what_is_ignored_may_be_nested_however_deep() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!(
        r#"{{"future":{deep},"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"future":{deep},
        "attributes":[{{"key":"k","future":{deep},"value":{{"future":{deep},"intValue":1}}}}]}}]}}]}}]}}"#
    );
    let record = record(json::decode, body);
    assert_eq!(attributes(&record), [("k", Value::Integer(1))]);
}

#[test]
fn records_whose_resource_or_scope_cannot_be_read_are_refused() {
    let body = r#"{"resourceLogs":[
        {"resource":{"attributes":7},"scopeLogs":[{"logRecords":[{}]}]},
        {"scopeLogs":[{"scope":{"name":7},"logRecords":[{}]},{"logRecords":[{}]}]}]}"#;
    let (decoded, _) = decode(json::decode, MEMORY, body).unwrap();
    assert_eq!(decoded.records.len(), 1);
    let reasons = reasons(decoded.rejected);
    assert!(reasons[0].contains("the record's resource"), "{reasons:?}");
    assert!(reasons[1].contains("the record's scope"), "{reasons:?}");
}

#[test]
fn what_is_not_a_request_is_malformed() {
    let long = format!(r#"{{"resourceLogs":"{}"}}"#, "x".repeat(1 << 20));
    for body in [
        &b""[..],
        b"[]",
        b"null",
        b"7",
        b"{\"resourceLogs\":7}",
        b"{\"resourceLogs\":[",
        b"{\"resourceLogs\":[7]}",
        b"{\"resourceLogs\":[{\"scopeLogs\":7}]}",
        b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":7}]}]}",
        b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{]}]}]}",
        b"{\"resourceLogs\":[{\"resource\":{},\"resource\":{}}]}",
        b"{} {}",
        b"{\"a\":\"\xff\"}",
        b"\x0a\x00",
        long.as_bytes(),
    ] {
        let refused = decode(json::decode, MEMORY, body.to_vec());
        let Err(DecodeError::Malformed(reason)) = refused else {
            panic!("{refused:?}");
        };
        assert!(reason.len() < 300, "{reason}");
    }
}
