//! What real clients send.

use bytes::Bytes;
use sluice_types::record::Severity;

use super::reference::{MEMORY, OBSERVED, attributes, decode};
use super::{json, protobuf};
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};

#[test]
fn promtail_sends_protobuf() {
    let body = b"\n\x9a\x01\n\x1a{job=\"demo\", level=\"info\"}\
        \x12(\n\x0c\x08\xd4\xe7\x85\xd8\x06\x10\xda\xe4\xbb\x97\x01\x12\x07hello 0\x1a\x0f\n\x08trace_id\x12\x03abc\
        \x12(\n\x0c\x08\xd4\xe7\x85\xd8\x06\x10\xaf\xeb\xbe\x97\x01\x12\x07hello 1\x1a\x0f\n\x08trace_id\x12\x03abc\
        \x12(\n\x0c\x08\xd4\xe7\x85\xd8\x06\x10\x8a\xf1\xbe\x97\x01\x12\x07hello 2\x1a\x0f\n\x08trace_id\x12\x03abc";
    let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
    let body = Bytes::from_static(body);
    let decode = |meter: &mut Meter| protobuf::decode(&body, Some("t1"), OBSERVED, 3, meter);
    let (decoded, _) = meter.measure(decode).unwrap();
    assert_eq!((decoded.records.len(), decoded.rejected.len()), (3, 0));
    for (at, record) in decoded.records.iter().enumerate() {
        assert_eq!(record.body, format!("hello {at}"));
        let expected = [
            ("job", "demo"),
            ("level", "info"),
            ("loki.tenant", "t1"),
            ("trace_id", "abc"),
        ];
        assert_eq!(attributes(record), expected);
        assert_eq!(
            (record.severity, record.observed),
            (Severity::Info, OBSERVED)
        );
    }
    assert_eq!(decoded.records[0].timestamp, 1_795_257_300_317_649_498);
}

#[test]
fn winston_sends_protobuf_in_snappy() {
    let packed = b"A\xf0@\n?\n\x16{level=\"info\",job=\"w\"}\x12%\n\x0b\x08\xbf\xe8\x85\xd8\x06\
        \x10\x80\xd6\x9e$\x12\x16hello {\"level\":\"info\"}";
    let body = snap::raw::Decoder::new().decompress_vec(packed).unwrap();
    let decoded = decode(protobuf::decode, body).unwrap();
    let [record] = &decoded.records[..] else {
        panic!("{decoded:?}")
    };
    assert_eq!(record.body, "hello {\"level\":\"info\"}");
    assert_eq!(attributes(record), [("job", "w"), ("level", "info")]);
    assert_eq!(record.timestamp, 1_795_257_407_076_000_000);
}

#[test]
fn fluent_bit_sends_a_stream_for_each_entry() {
    let entry = |ns: u64| {
        format!(
            r#"{{"stream":{{"job":"fluentbit","env":"dev","level":"info"}},"values":[["{ns}","{{\"message\":\"hello\"}}",{{"n":"7"}}]]}}"#
        )
    };
    let times = [1_795_255_814_137_881_115, 1_795_255_814_147_338_148];
    let body = format!(r#"{{"streams":[{},{}]}}"#, entry(times[0]), entry(times[1]));
    let decoded = decode(json::decode, body).unwrap();
    assert_eq!(decoded.records.len(), 2);
    for (record, time) in decoded.records.iter().zip(times) {
        assert_eq!(record.timestamp, time);
        assert_eq!(record.body, r#"{"message":"hello"}"#);
        let expected = [
            ("env", "dev"),
            ("job", "fluentbit"),
            ("level", "info"),
            ("n", "7"),
        ];
        assert_eq!(attributes(record), expected);
        assert_eq!(record.severity, Severity::Info);
    }
}

#[test]
fn pino_and_python_and_winston_send_json() {
    for (body, lines, severities) in [
        (
            r#"{"streams":[{"stream":{"level":"info","hostname":"vm","job":"p"},"values":[["1795257444271000000","{\"level\":30,\"pid\":7631,\"msg\":\"hello\"}"]]},{"stream":{"level":"error","hostname":"vm","job":"p"},"values":[["1795257444271000000","{\"msg\":\"two\\n\"}"]]}]}"#,
            [
                r#"{"level":30,"pid":7631,"msg":"hello"}"#,
                r#"{"msg":"two\n"}"#,
            ],
            [Severity::Info, Severity::Error],
        ),
        (
            r#"{"streams": [{"stream": {"app": "py", "severity": "warning", "logger": "xok", "k": "v"}, "values": [["1795257400558468864", "hello"], ["1795257400563319552", "two"]]}]}"#,
            ["hello", "two"],
            [Severity::Warn; 2],
        ),
        (
            r#"{"streams":[{"stream":{"level":"info","job":"w","k":"v"},"values":[["1795257400924000000","hello {\"user\":7}",{"user":"7","level":"info"}]]},{"stream":{"level":"warn","job":"w"},"values":[["1795257400924000000","two {\"level\":\"warn\"}",{"level":"warn"}]]}]}"#,
            [r#"hello {"user":7}"#, r#"two {"level":"warn"}"#],
            [Severity::Info, Severity::Warn],
        ),
    ] {
        let decoded = decode(json::decode, body).unwrap();
        let records = decoded.records.iter();
        let found: Vec<_> = records.map(|r| (&*r.body, r.severity)).collect();
        let expected: Vec<_> = lines.into_iter().zip(severities).collect();
        assert_eq!(found, expected);
        assert!(
            decoded
                .records
                .iter()
                .all(|record| record.attributes.len() >= 2)
        );
    }
}

#[test]
fn the_first_api_is_understood_too() {
    let body = r#"{"streams":[{"labels":"{foo=\"b\\\"ar\"}","entries":[{"ts":"2026-11-21T10:10:14.5-04:00","line":"baz"}]}]}"#;
    let decoded = decode(json::decode, body).unwrap();
    let [record] = &decoded.records[..] else {
        panic!("{decoded:?}")
    };
    assert_eq!(
        (&*record.body, record.timestamp),
        ("baz", 1_795_270_214_500_000_000)
    );
    assert_eq!(attributes(record), [("foo", "b\"ar")]);
}
