//! Random bodies of `PutLogEvents`, compared with a reader of all JSON.

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;

use super::decode::put_log_events;
use super::operation::Operation;
use crate::error::DecodeError;
use crate::fuzzing::{MEMORY, check, each_seed, measure, mixed};

const EVENTS: &[&[u8]] = &[
    b"{\"message\":\"a\"}",
    b" {\"timestamp\":1795257807135 , \"message\":\"b\\n\\\"\xc3\xa9\"} ",
    b"{\"message\":\"\xff\",\"timestamp\":0}",
    b"{\"message\":\"\x7f\\ud800\"}",
    b"{\"message\":1}",
    b"{\"message\":\"c\",\"timestamp\":-1}",
    b"{\"message\":\"d\",\"timestamp\":null,\"x\":[{}]}",
    b"{\"timestamp\":1}",
    b"{}",
    b"null",
    b"[7]",
];

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\"",
    b" ",
    b"\\",
    b"\\ud800",
    b"\xff",
    b"\xe4\xbd",
    b"\x7f",
    b"null",
    b"7",
    b"\"message\":",
    b"\"logEvents\":",
];

/// Whether nanoseconds can say this time in milliseconds.
fn is_time(time: &Value) -> bool {
    time.as_u64().is_some_and(|ms| ms <= u64::MAX / 1_000_000)
}

/// A request, sometimes with something else in it.
fn body(rng: &mut StdRng) -> Vec<u8> {
    let mut body = b"{\"logEvents\":[".to_vec();
    for n in 0..rng.random_range(0..8) {
        if n > 0 {
            body.push(b',');
        }
        body.extend(EVENTS[rng.random_range(0..EVENTS.len())]);
    }
    body.extend(b"],\"logGroupName\":\"g\",\"logStreamName\":\"s\"}");
    if rng.random_bool(0.3) {
        let at = rng.random_range(0..=body.len());
        body.splice(at..at, mixed(rng, PIECES, 2));
    }
    body
}

#[test]
fn any_body_of_events() {
    each_seed(|rng| {
        let body = Bytes::from(body(rng));
        let json = serde_json::from_slice::<Value>(&body);
        let events = json
            .as_ref()
            .ok()
            .and_then(|json| json["logEvents"].as_array());
        match measure(MEMORY, |meter| put_log_events(&body, 7, usize::MAX, meter)) {
            Ok((decoded, charged)) => {
                check(&decoded, charged);
                let Some(events) = events else {
                    // Bytes that are no text, or half of a surrogate pair.
                    assert!(json.is_err(), "{body:?}");
                    return;
                };
                assert_eq!(decoded.records.len() + decoded.rejected.len(), events.len());
                let named = events.iter().filter(|event| event.get("message").is_some());
                if body.windows(10).filter(|w| w == b"\"message\":").count() > named.count() {
                    // An event has two, of which the reference takes the last.
                    return;
                }
                let mut records = decoded.records.iter();
                let messages = events.iter().filter(|event| {
                    let time = event.get("timestamp").filter(|time| !time.is_null());
                    event["message"].is_string() && time.is_none_or(is_time)
                });
                for event in messages {
                    let record = records.next().unwrap();
                    assert_eq!(&*record.body, event["message"].as_str().unwrap());
                }
                assert_eq!(records.next(), None);
            }
            Err(error) => {
                assert!(matches!(error, DecodeError::Malformed(_)));
                // Wrong JSON, or a name or field that was hit.
                let is_hit = json.is_err() || {
                    let json = json.unwrap();
                    let text = |name: &str| json.get(name).is_some_and(Value::is_string);
                    !json["logEvents"].is_array()
                        || !text("logGroupName")
                        || !text("logStreamName")
                        || body.windows(12).filter(|w| w == b"\"logEvents\":").count() > 1
                };
                assert!(is_hit, "{error:?} {body:?}");
            }
        }
    });
}

#[test]
fn any_question_for_groups_and_streams() {
    each_seed(|rng| {
        let mut body = b"{\"logStreamNamePrefix\":\"".to_vec();
        body.extend(mixed(rng, PIECES, 6));
        body.extend(b"\"}");
        for operation in ["DescribeLogGroups", "DescribeLogStreams", "CreateLogStream"] {
            let operation = Operation::of_target(&format!("Logs_20140328.{operation}"));
            let answer = operation.handshake(&body).unwrap();
            assert_eq!(answer.status, 200);
            assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
        }
    });
}
