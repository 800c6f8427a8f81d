//! Requests that real clients sent.

use super::*;
use sluice_types::record::Severity;

/// The JavaScript SDK's, of two records.
const JS_PROTOBUF: &[u8] = b"\n\xd9\x02\n\x98\x01\n&\n\x0cservice.name\x12\x16\n\x14\
unknown_service:node\n\"\n\x16telemetry.sdk.language\x12\x08\n\x06nodejs\n%\n\x12\
telemetry.sdk.name\x12\x0f\n\ropentelemetry\n!\n\x15telemetry.sdk.version\x12\x08\n\x062.12.1\
\x10\x00\x12\xbb\x01\n\x0b\n\x04demo\x12\x031.0\x12L\t\x80)\x02\x0e\x1e\x07\xea\x18\x10\r\x1a\
\x04WARN*\x07\n\x05hello2\n\n\x04user\x12\x02\x18\x072\x0e\n\x01f\x12\t!\x00\x00\x00\x00\x00\
\x00\xf8?2\t\n\x01b\x12\x04:\x02\x01\x028\x00Y\x80)\x02\x0e\x1e\x07\xea\x18\x12^\t\xc0k\x11\x0e\
\x1e\x07\xea\x18\x10\r\x1a\x04WARN*\x192\x17\n\x15\n\x06nested\x12\x0b*\t\n\x02\x18\x01\n\x03\n\
\x01x2\n\n\x04user\x12\x02\x18\x072\x0e\n\x01f\x12\t!\x00\x00\x00\x00\x00\x00\xf8?2\t\n\x01b\x12\
\x04:\x02\x01\x028\x00Y\xc0k\x11\x0e\x1e\x07\xea\x18";

/// The same in its JSON form.
const JS_JSON: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
{"key":"service.name","value":{"stringValue":"unknown_service:node"}},
{"key":"telemetry.sdk.language","value":{"stringValue":"nodejs"}},
{"key":"telemetry.sdk.name","value":{"stringValue":"opentelemetry"}},
{"key":"telemetry.sdk.version","value":{"stringValue":"2.12.1"}}],"droppedAttributesCount":0},
"scopeLogs":[{"scope":{"name":"demo","version":"1.0"},"logRecords":[
{"timeUnixNano":"1795255227126000000","observedTimeUnixNano":"1795255227126000000",
"severityNumber":13,"severityText":"WARN","body":{"stringValue":"hello"},"attributes":[
{"key":"user","value":{"intValue":7}},{"key":"f","value":{"doubleValue":1.5}},
{"key":"b","value":{"bytesValue":"AQI="}}],"droppedAttributesCount":0},
{"timeUnixNano":"1795255227127000000","observedTimeUnixNano":"1795255227127000000",
"severityNumber":13,"severityText":"WARN","body":{"kvlistValue":{"values":[
{"key":"nested","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"x"}]}}}]}},
"attributes":[{"key":"user","value":{"intValue":7}},{"key":"f","value":{"doubleValue":1.5}},
{"key":"b","value":{"bytesValue":"AQI="}}],"droppedAttributesCount":0}]}]}]}"#;

#[test]
fn the_javascript_sdk_is_understood_in_both_forms() {
    let binary = records(protobuf::decode, JS_PROTOBUF);
    let [first, second] = &binary[..] else {
        panic!("{binary:?}");
    };
    assert_eq!((&*first.body, first.severity), ("hello", Severity::Warn));
    assert_eq!(&*second.body, r#"{"nested":[1,"x"]}"#);
    let text = |text: &'static str| Value::Text(text.into());
    let expected = [
        ("resource.service.name", text("unknown_service:node")),
        ("resource.telemetry.sdk.language", text("nodejs")),
        ("resource.telemetry.sdk.name", text("opentelemetry")),
        ("resource.telemetry.sdk.version", text("2.12.1")),
        ("scope.name", text("demo")),
        ("scope.version", text("1.0")),
        ("user", Value::Integer(7)),
        ("f", Value::Float(1.5)),
        ("b", Value::Bytes(Bytes::from_static(&[1, 2]))),
    ];
    for (record, time) in [
        (first, 1_795_255_227_126_000_000),
        (second, 1_795_255_227_127_000_000),
    ] {
        assert_eq!((record.timestamp, record.observed), (time, OBSERVED));
        assert_eq!(attributes(record), expected);
        // The others are shared.
        assert_eq!(record.attributes.own_len(), 3);
    }
    let json = records(json::decode, JS_JSON);
    assert_eq!(binary, json);
}

#[test]
fn fluent_bit_sends_empty_resources_and_scopes() {
    let body = b"\nB\n\x00\x12>\n\x00\x12\x12\t\x9e7\xa4\xbb\xa6\x07\xea\x18*\x07\n\x05hello\x12\
\x12\t9\"\xcc\xbb\xa6\x07\xea\x18*\x07\n\x05hello\x12\x12\t`zd\xbc\xa6\x07\xea\x18*\x07\n\x05hello";
    let records = records(protobuf::decode, &body[..]);
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(&*record.body, "hello");
        assert!(record.attributes.is_empty());
        assert_eq!(record.timestamp >> 56, 0x18);
    }
}

#[test]
fn the_python_sdk_sends_scopes_without_a_version() {
    let body =
        b"\nu\n\x18\n\x16\n\x0cservice.name\x12\x06\n\x04demo\x12Y\n\x08\n\x06appsuc\x12M\t\x00\
\x1b\x1f\xa7\r\x07\xea\x18\x10\r\x1a\x04WARN*\t\n\x07hello 02\n\n\x04user\x12\x02\x18\
\x072\x1a\n\x0ecode.file.path\x12\x08\n\x06app.pyY*}#\xa7\r\x07\xea\x18";
    let record = record(protobuf::decode, &body[..]);
    let expected = [
        ("resource.service.name", Value::Text("demo".into())),
        ("scope.name", Value::Text("appsuc".into())),
        ("user", Value::Integer(7)),
        ("code.file.path", Value::Text("app.py".into())),
    ];
    assert_eq!(attributes(&record), expected);
    assert_eq!(&*record.body, "hello 0");
    assert_eq!(record.timestamp, 0x18ea_070d_a71f_1b00);
}
