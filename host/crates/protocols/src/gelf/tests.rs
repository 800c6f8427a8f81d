//! Messages of real clients, and hostile ones.

use std::io::Write as _;

use bytes::Bytes;

use super::{answer, message};
use crate::answer::Verdict;
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::shown;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};
use crate::rejected::Rejections;
use sluice_types::record::{LogRecord, Severity, Value, overhead};

const MEMORY: usize = 64 << 20;
const OBSERVED: u64 = 5;
/// The most bytes of a message.
const LONGEST: usize = 1000;

const DOCKERS: &str = concat!(
    r#"{"version":"1.1","host":"vm","short_message":"two","timestamp":1795256480.929,"level":3,"#,
    r#""_app":"shop","_command":"/bin/sh -c echo two \u003e\u00262","_container_name":"web"}"#
);
const PYGELFS: &str = concat!(
    r#"{"version":"1.1","short_message":"hello 0","timestamp":1795257522.2020497,"level":4,"#,
    r#""host":"vm","_stack_info":null,"_user":7}"#
);

fn metered<T>(
    memory: usize,
    work: impl FnOnce(&mut Meter) -> Result<T, DecodeError>,
) -> Result<(T, Reservation), DecodeError> {
    Meter::new(MemoryBudget::new(memory).reserve(), Client::default()).measure(work)
}

fn decoded(body: impl Into<Bytes>) -> Decoded {
    let body = body.into();
    let decode = |meter: &mut Meter| Ok(message::decode(&body, OBSERVED, 100, meter));
    metered(MEMORY, decode).unwrap().0
}

fn frames(frames: &'static [u8]) -> Decoded {
    let frames = Bytes::from_static(frames);
    let decode = |meter: &mut Meter| {
        Ok(message::decode_frames(
            &frames, LONGEST, OBSERVED, 100, meter,
        ))
    };
    metered(MEMORY, decode).unwrap().0
}

fn one(body: impl Into<Bytes>) -> LogRecord {
    let mut decoded = decoded(body);
    assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 0));
    decoded.records.remove(0)
}

fn bodies(decoded: &Decoded) -> Vec<&str> {
    decoded.records.iter().map(|record| &*record.body).collect()
}

fn reasons(decoded: Decoded) -> Vec<(usize, String)> {
    let rejections = decoded.rejected.merge(Vec::new());
    let listed = rejections.listed.into_iter();
    listed
        .map(|rejection| (rejection.index, rejection.reason))
        .collect()
}

fn attributes(record: &LogRecord) -> Vec<(&str, &Value)> {
    let attributes = record.attributes.iter();
    attributes.map(|(name, value)| (&**name, value)).collect()
}

fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

fn zlib(text: &str) -> Bytes {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().into()
}

#[test]
fn dockers_message_is_a_record() {
    let record = one(DOCKERS);
    assert_eq!((&*record.body, record.severity), ("two", Severity::Error));
    assert_eq!(record.timestamp, 1_795_256_480_929_000_000);
    assert_eq!(record.observed, OBSERVED);
    assert_eq!(
        attributes(&record),
        [
            ("host.name", &text("vm")),
            ("app", &text("shop")),
            ("command", &text("/bin/sh -c echo two >&2")),
            ("container_name", &text("web")),
        ]
    );
}

#[test]
fn pygelfs_null_is_nothing() {
    let record = one(PYGELFS);
    assert_eq!(
        (&*record.body, record.severity),
        ("hello 0", Severity::Warn)
    );
    assert_eq!(record.timestamp, 1_795_257_522_202_049_700);
    let expected = [("host.name", &text("vm")), ("user", &Value::Integer(7))];
    assert_eq!(attributes(&record), expected);
}

#[test]
fn a_body_is_unpacked_by_its_first_bytes() {
    let unpacked = |packed: &Bytes, limit| {
        let unpacked = metered(MEMORY, |meter| message::unpacked(packed, limit, meter));
        unpacked.map(|(unpacked, _)| unpacked)
    };
    // pygelf names gzip and deflate for these.
    let packed = zlib(PYGELFS);
    assert_eq!(unpacked(&packed, LONGEST), Ok(Some(Bytes::from(PYGELFS))));
    assert_eq!(unpacked(&packed, 10), Ok(None));
    let plain = Bytes::from(DOCKERS);
    assert_eq!(unpacked(&plain, LONGEST), Ok(Some(plain.clone())));
    assert_eq!(unpacked(&plain, 10), Ok(None));
    let broken = packed.slice(..packed.len() - 1);
    assert!(matches!(
        unpacked(&broken, LONGEST),
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn the_full_message_is_the_text_if_there_is_one() {
    for (fields, body, short) in [
        (r#""short_message":"s","full_message":"f""#, "f", Some("s")),
        (r#""full_message":"f","short_message":"f""#, "f", None),
        (r#""short_message":"s","full_message":"""#, "s", None),
        (r#""short_message":"s","full_message":null"#, "s", None),
        (r#""full_message":"f""#, "f", None),
        (r#""message":"m""#, "m", None),
        (r#""short_message":"""#, "", None),
        (r#""short_message":"a\u003eb""#, "a>b", None),
        (r#""short_message":{"a":1}"#, r#"{"a":1}"#, None),
        (r#""short_message":1.50"#, "1.50", None),
    ] {
        let record = one(format!("{{{fields}}}"));
        assert_eq!(&*record.body, body);
        let expected: Vec<_> = short
            .map(|short| ("short_message", text(short)))
            .into_iter()
            .collect();
        let attributes = attributes(&record).into_iter();
        assert_eq!(
            attributes.map(|(n, v)| (n, v.clone())).collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn fields_lose_one_underscore() {
    let record = one(concat!(
        r#"{"short_message":"s","_id":"i","__x":1,"_":2,"facility":"f","#,
        r#""_a":1,"_a":2,"_o":{"k":[]},"host":"h"}"#
    ));
    assert_eq!(
        attributes(&record),
        [
            ("id", &text("i")),
            ("_x", &Value::Integer(1)),
            ("_", &Value::Integer(2)),
            ("facility", &text("f")),
            ("a", &Value::Integer(2)),
            ("o", &Value::Json(r#"{"k":[]}"#.into())),
            ("host.name", &text("h"))
        ]
    );
    assert_eq!(record.key, None);
}

#[test]
fn a_time_or_level_that_is_none_stays_an_attribute() {
    for (fields, timestamp, severity, left) in [
        (
            r#""timestamp":"1795256478.29""#,
            1_795_256_478_290_000_000,
            Severity::Unspecified,
            0,
        ),
        (
            r#""timestamp":1795256478"#,
            1_795_256_478_000_000_000,
            Severity::Unspecified,
            0,
        ),
        (r#""timestamp":0,"level":"6""#, OBSERVED, Severity::Info, 0),
        (
            r#""timestamp":"noon","level":8"#,
            OBSERVED,
            Severity::Unspecified,
            2,
        ),
        (
            r#""timestamp":-1,"level":"loud""#,
            OBSERVED,
            Severity::Unspecified,
            2,
        ),
        (
            r#""timestamp":[],"level":1.5"#,
            OBSERVED,
            Severity::Unspecified,
            2,
        ),
        (r#""level":"warning""#, OBSERVED, Severity::Warn, 0),
        (r#""level":0"#, OBSERVED, Severity::Fatal, 0),
    ] {
        let record = one(format!("{{\"short_message\":\"s\",{fields}}}"));
        assert_eq!(
            (record.timestamp, record.severity),
            (timestamp, severity),
            "{fields}"
        );
        assert_eq!(record.attributes.len(), left, "{fields}");
    }
}

#[test]
fn graylogs_leniency_is_kept() {
    // A comma before the brace, and a control character in a string.
    let record = one(&b"{\"short_message\":\"a\tb\nc\xff\",}"[..]);
    assert_eq!(&*record.body, "a\tb\nc\u{fffd}");
    assert_eq!(attributes(&record)[0].0, "log.record.original");
}

#[test]
fn one_wrong_message_over_tcp_leaves_its_neighbours() {
    let decoded = frames(
        b"{\"short_message\":\"a\"}\0oops\0\0 \n\0{\"host\":\"h\"}\0[1]\0{\"short_message\":\"b\"}\0\
          {\"short_message\":\"cut",
    );
    assert_eq!(bodies(&decoded), ["a", "b"]);
    let reasons = reasons(decoded);
    let places: Vec<_> = reasons.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 3, 5]);
    assert!(reasons[0].1.starts_with("not JSON"));
    assert_eq!(reasons[1].1, "there is no short_message");
    assert_eq!(reasons[2].1, "not a JSON object");
}

#[test]
fn a_body_over_http_may_have_several_messages() {
    let decode = |body: &'static str| {
        let body = Bytes::from(body);
        metered(MEMORY, |meter| {
            message::decode_body(&body, OBSERVED, 100, meter)
        })
    };
    let several = decode("{\"short_message\":\"a\"}\n{\"short_message\":\"b\"}\n{}")
        .unwrap()
        .0;
    assert_eq!(
        (bodies(&several), several.rejected.len()),
        (vec!["a", "b"], 1)
    );
    for (body, expected) in [
        ("", "the body is empty"),
        ("{}", "there is no short_message"),
        ("oops", "not JSON"),
    ] {
        let Err(DecodeError::Malformed(reason)) = decode(body) else {
            panic!("{body}")
        };
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn a_message_over_tcp_that_is_too_long_is_rejected() {
    let long = Bytes::from(format!("{}\0{DOCKERS}\0", " ".repeat(LONGEST + 1)));
    let decode = |meter: &mut Meter| Ok(message::decode_frames(&long, LONGEST, 1, 9, meter));
    let decoded = metered(MEMORY, decode).unwrap().0;
    assert_eq!(bodies(&decoded), ["two"]);
    assert_eq!(
        reasons(decoded)[0].1,
        "the message is longer than 1000 bytes"
    );
}

#[test]
fn everything_is_charged_before_it_is_allocated() {
    for (body, least) in [
        (
            "{\"short_message\":\"a\",\"_k\":1}".repeat(90),
            90 * overhead(1),
        ),
        ("{}".repeat(90), 90 * 96),
        (
            format!("{{\"message\":\"{}\"}}", "\\t".repeat(10_000)),
            overhead(0) + 20_000,
        ),
    ] {
        let body = Bytes::from(body);
        let decode = |memory| metered(memory, |meter| Ok(message::decode(&body, 1, 90, meter)));
        let (_, reservation) = decode(MEMORY).unwrap();
        let spent = reservation.spent();
        assert!(spent >= least, "{spent}");
        assert!(decode(spent).is_ok());
        assert!(matches!(decode(spent - 1), Err(DecodeError::Stopped(_))));
        let most = |meter: &mut Meter| Ok(message::decode(&body, 1, 0, meter));
        assert!(matches!(
            metered(MEMORY, most),
            Err(DecodeError::Stopped(_))
        ));
    }
}

#[test]
fn what_is_nested_too_deep_is_a_text() {
    let deep = format!("{}1{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    for field in ["_a", "timestamp", "level", "full_message"] {
        let record = one(format!("{{\"short_message\":\"s\",\"{field}\":{deep}}}"));
        match field {
            "full_message" => assert_eq!(record.body, deep),
            _ => assert_eq!(attributes(&record)[0].1, &Value::Text(deep.clone().into())),
        }
    }
}

#[test]
fn a_message_with_too_many_fields_is_rejected_alone() {
    let many = ",\"_k\":1".repeat(1 << 17);
    let fields: Vec<_> = (0..1025).map(|n| format!("\"_k{n}\":{n}")).collect();
    for wrong in [
        format!("{{\"short_message\":\"s\"{many}}}"),
        format!("{{\"short_message\":\"s\",{}}}", fields.join(",")),
    ] {
        let body = Bytes::from(format!("{wrong}{DOCKERS}"));
        let decode = |meter: &mut Meter| Ok(message::decode(&body, 1, 9, meter));
        let decoded = metered(1 << 20, decode).unwrap().0;
        assert_eq!(bodies(&decoded), ["two"]);
        let reasons = reasons(decoded);
        let reason = &reasons[0].1;
        assert!(reason.contains("more than"), "{reason}");
        assert!(reason.len() < 200);
    }
}

#[test]
fn an_answer_is_202_or_says_when_to_come_back() {
    let rejections = Rejections {
        listed: Vec::new(),
        total: 3,
    };
    let settled = Verdict::Settled {
        total: 3,
        rejections: &rejections,
    };
    for (verdict, status) in [
        (settled, 202),
        (Verdict::Busy("full"), 503),
        (Verdict::Unknown("late"), 503),
        (Verdict::Stopping, 503),
        (Verdict::NoToken, 401),
        (Verdict::WrongToken, 403),
        (Verdict::Malformed("m"), 400),
        (Verdict::Unsupported("u"), 415),
        (Verdict::TooLarge("t"), 413),
    ] {
        let answer = answer::answer(verdict);
        assert_eq!(answer.status, status);
        let is_retried = answer.headers == [("retry-after", "1".to_owned())];
        assert_eq!(is_retried, status == 503);
        assert_eq!(answer.body.is_empty(), status == 202);
    }
}

#[test]
fn what_is_rejected_is_shown_without_its_neighbours() {
    let one = decoded(r#" [1, {"short_message":"good"}] {"host":7}[{"a"}] more"#);
    assert_eq!(bodies(&one), ["good"]);
    let expected: [&[u8]; 3] = [b"1", br#"{"host":7}"#, br#"{"a"}] more"#];
    assert_eq!(shown(&one), expected);
    let several = frames(b"no JSON\0{\"short_message\":\"good\"}\0{\"a\":1}");
    assert_eq!(shown(&several), [&b"no JSON"[..], b"{\"a\":1}"]);
}
