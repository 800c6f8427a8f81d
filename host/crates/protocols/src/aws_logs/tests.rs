use bytes::Bytes;

use super::decode::{GROUPS, STREAMS, put_log_events};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::{self, MEMORY};
use crate::text;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Value, overhead};

/// What Docker 20.10 sent.
const SENT: &str = r#"{"logEvents":[{"message":"hello","timestamp":1795257807135},{"message":"two","timestamp":1795257807135},{"message":"no-newline","timestamp":1795257807161}],"logGroupName":"g","logStreamName":"s1"}"#;

fn decode(body: &[u8], memory: usize) -> Result<(Decoded, usize), DecodeError> {
    let body = Bytes::copy_from_slice(body);
    fuzzing::measure(memory, |meter| put_log_events(&body, 7, 2000, meter))
}

fn decoded(body: &[u8]) -> Decoded {
    decode(body, MEMORY).unwrap().0
}

fn bodies(decoded: &Decoded) -> Vec<&str> {
    decoded.records.iter().map(|record| &*record.body).collect()
}

fn attributes(record: &LogRecord) -> Vec<Attribute> {
    record.attributes.iter().cloned().collect()
}

fn reasons(decoded: Decoded) -> Vec<String> {
    let rejections = decoded.rejected.merge(Vec::new());
    rejections.listed.into_iter().map(|r| r.reason).collect()
}

#[test]
fn what_docker_sends_becomes_records_that_share_group_and_stream() {
    let decoded = decoded(SENT.as_bytes());
    assert_eq!(bodies(&decoded), ["hello", "two", "no-newline"]);
    let last = &decoded.records[2];
    assert_eq!(
        (last.timestamp, last.observed),
        (1_795_257_807_161_000_000, 7)
    );
    let expected = [
        (GROUPS, Value::Json(r#"["g"]"#.into())),
        (STREAMS, Value::Json(r#"["s1"]"#.into())),
    ];
    assert_eq!(attributes(last), expected);
    assert_eq!(last.attributes.own_len(), 0);
}

#[test]
fn the_order_of_fields_and_unknown_ones_do_not_matter() {
    let decoded = decoded(
        br#" {"sequenceToken":"1","logStreamName":"s","entity":{"a":[{}]},"logGroupName":"g\u00e9",
          "logEvents":[ {"timestamp":0,"message":"a\nb","x":[1]} , {"message":"","timestamp":null}]} "#,
    );
    assert_eq!(bodies(&decoded), ["a\nb", ""]);
    assert_eq!(decoded.records[0].timestamp, 7);
    let expected = Value::Json(r#"["g\u00e9"]"#.into());
    assert_eq!(attributes(&decoded.records[1])[0], (GROUPS, expected));
}

#[test]
fn a_message_that_is_not_utf8_is_kept_as_it_was() {
    let body = b"{\"logGroupName\":\"g\",\"logEvents\":[{\"message\":\"\x7f\xc3\xa9\"},\
        {\"message\":\"a\xff\\n\xe4\xbd\"},{\"message\":\"\\udcffx\"}]}";
    let decoded = decoded(body);
    let expected = [
        "\u{7f}\u{e9}",
        "a\u{fffd}\n\u{fffd}",
        "\u{fffd}\u{fffd}\u{fffd}x",
    ];
    assert_eq!(bodies(&decoded), expected);
    assert_eq!(decoded.records[0].attributes.own_len(), 0);
    for (record, original) in [(1, &b"a\xff\n\xe4\xbd"[..]), (2, b"\xed\xb3\xbfx")] {
        let attributes = attributes(&decoded.records[record]);
        let expected = (text::ORIGINAL, Value::Bytes(Bytes::from_static(original)));
        assert_eq!(attributes.last(), Some(&expected));
    }
}

#[test]
fn an_event_that_cannot_be_a_record_is_rejected_alone() {
    let long = "x".repeat(1 << 20);
    let body = format!(
        r#"{{"logEvents":[{{"message":"a"}},7,"{long}",{{}},{{"message":["{long}"]}},
          {{"message":"b","timestamp":"{long}"}},{{"message":"b","timestamp":-1}},
          {{"message":"b","timestamp":1.5}},{{"message":"b","timestamp":18446744073710}},
          {{"message":"\q"}},{{"message":"z"}}]}}"#
    );
    // Of a bad escape, the JSON is wrong as a whole.
    assert!(matches!(
        decode(body.as_bytes(), MEMORY),
        Err(DecodeError::Malformed(_))
    ));
    let decoded = decoded(body.replace("\\q", "\\ud800").as_bytes());
    assert_eq!(bodies(&decoded), ["a", "\u{fffd}\u{fffd}\u{fffd}", "z"]);
    let reasons = reasons(decoded);
    assert_eq!(reasons.len(), 8);
    assert!(
        reasons.iter().all(|reason| reason.len() < 150),
        "{reasons:?}"
    );
}

#[test]
fn a_body_that_is_something_else_is_malformed_in_few_words() {
    let long = "x".repeat(1 << 20);
    for body in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!("\"{long}\""),
        format!(r#"{{"logEvents":"{long}"}}"#),
        format!(r#"{{"logEvents":{{"a":"{long}"}}}}"#),
        format!(r#"{{"logEvents":[],"logGroupName":"{long}"}}"#),
        r#"{"logEvents":[],"logGroupName":7}"#.to_owned(),
        format!("{SENT}x"),
        SENT.replace("}]", "}"),
    ] {
        let Err(DecodeError::Malformed(reason)) = decode(body.as_bytes(), MEMORY) else {
            panic!("{body}")
        };
        assert!(reason.len() < 200, "{reason}");
    }
}

#[test]
fn memory_is_charged_before_it_is_spent() {
    let events = |event: &[u8]| {
        let first = [b"{\"logGroupName\":\"g\",\"logEvents\":[", event].concat();
        [first, [b",", event].concat().repeat(999), b"]}".to_vec()].concat()
    };
    let escaped = [b"{\"message\":\"", &b"\\t".repeat(500)[..], b"\"}"].concat();
    let no_text = [b"{\"message\":\"", &b"\xff".repeat(500)[..], b"\"}"].concat();
    for (body, charged) in [
        (events(b"{\"message\":\"a\"}"), 1000 * overhead(0)),
        (events(b"1"), 1000 * 96),
        (events(&escaped), 1000 * (overhead(0) + 1000)),
        // The copy to read, what is unescaped, and the text.
        (events(&no_text), 1000 * (overhead(1) + 5 * 500)),
    ] {
        let (_, spent) = decode(&body, MEMORY).unwrap();
        assert!(spent >= charged, "{spent} {charged}");
        assert!(decode(&body, 2 * spent).is_ok());
        let refused = decode(&body, charged - 1);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn more_events_than_may_wait_are_not_even_decoded() {
    let body = Bytes::from(SENT);
    let decode = |most| fuzzing::measure(MEMORY, |meter| put_log_events(&body, 7, most, meter));
    assert_eq!(decode(3).unwrap().0.records.len(), 3);
    assert!(matches!(decode(2), Err(DecodeError::Stopped(_))));
}
