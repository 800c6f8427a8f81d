use bytes::Bytes;

use super::decode::{ATTRIBUTES_MAX, FIELDS_MAX, entries};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::{self, MEMORY};
use sluice_types::record::{LogRecord, Severity, Value, overhead};

/// What `systemd-journal-upload` of systemd 252 sent, with another cursor.
const UPLOADED: &[u8] = b"__CURSOR=s=b8c5;i=1;b=02;m=3e8;t=660c6608e6600;x=fda5\n\
    __REALTIME_TIMESTAMP=1795255000000000\n\
    __MONOTONIC_TIMESTAMP=1000\n\
    _BOOT_ID=00000000000000000000000000000002\n\
    PRIORITY=4\n\
    _HOSTNAME=vm\n\
    SYSLOG_IDENTIFIER=app\n\
    _TRANSPORT=journal\n\
    MESSAGE=hello 0\n\n\
    __CURSOR=s=b8c5;i=2;b=02;m=3e9;t=660c6608e6601;x=c607\n\
    __REALTIME_TIMESTAMP=1795255000000001\n\
    _HOSTNAME=vm\n\
    _PID=411\n\
    PRIORITY=5\n\
    MESSAGE\n\x0a\0\0\0\0\0\0\0multi\nline\n\n";

fn decode(body: &[u8], memory: usize) -> Result<(Decoded, usize), DecodeError> {
    let body = Bytes::copy_from_slice(body);
    fuzzing::measure(memory, |meter| entries(&body, 7, 2000, meter))
}

fn decoded(body: &[u8]) -> Decoded {
    decode(body, MEMORY).unwrap().0
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

fn reasons(decoded: Decoded) -> Vec<String> {
    let rejections = decoded.rejected.merge(Vec::new());
    rejections.listed.into_iter().map(|r| r.reason).collect()
}

/// A binary field.
fn binary(name: &str, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u64).to_le_bytes();
    [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
}

#[test]
fn what_the_client_uploads_becomes_records() {
    let decoded = decoded(UPLOADED);
    let [first, second] = &decoded.records[..] else {
        panic!("{decoded:?}")
    };
    assert_eq!(
        first.key.as_deref(),
        Some("s=b8c5;i=1;b=02;m=3e8;t=660c6608e6600;x=fda5")
    );
    assert_eq!(&*first.body, "hello 0");
    assert_eq!(
        (first.timestamp, first.observed),
        (1_795_255_000_000_000_000, 7)
    );
    assert_eq!(first.severity, Severity::Warn);
    let expected = [
        ("host.name", text("vm")),
        ("service.name", text("app")),
        ("journald.__monotonic_timestamp", text("1000")),
        (
            "journald._boot_id",
            text("00000000000000000000000000000002"),
        ),
        ("journald._transport", text("journal")),
    ];
    assert_eq!(attributes(first), expected);
    assert_eq!(&*second.body, "multi\nline");
    assert_eq!(second.severity, Severity::Info);
    let expected = [
        ("host.name", text("vm")),
        ("process.pid", Value::Integer(411)),
    ];
    assert_eq!(attributes(second), expected);
}

#[test]
fn a_field_that_is_not_what_it_should_be_is_an_attribute() {
    let decoded = decoded(
        b"MESSAGE=a\nMESSAGE=b\nPRIORITY=8\n_PID=self\n__REALTIME_TIMESTAMP=18446744073709552\n\
          __CURSOR=\n\nPRIORITY=\nPRIORITY=3\n__REALTIME_TIMESTAMP=0\n",
    );
    let [first, second] = &decoded.records[..] else {
        panic!("{decoded:?}")
    };
    assert_eq!((&*first.body, first.timestamp, &first.key), ("a", 7, &None));
    assert_eq!(first.severity, Severity::Unspecified);
    let expected = [
        ("journald.message", text("b")),
        ("journald.priority", text("8")),
        ("journald._pid", text("self")),
        ("journald.__realtime_timestamp", text("18446744073709552")),
        ("journald.__cursor", text("")),
    ];
    assert_eq!(attributes(first), expected);
    assert_eq!((second.severity, second.timestamp), (Severity::Error, 7));
}

#[test]
fn repeated_fields_are_one_array_in_their_order() {
    let mut body = b"MESSAGE=a\nTAG=x\nUNIT=u\nTAG=\"y\"\n".to_vec();
    body.extend(binary("TAG", b"\xff\x01"));
    body.extend(b"\nTAG=z\n");
    let decoded = decoded(&body);
    let expected = [
        (
            "journald.tag",
            Value::Json(r#"["x","\"y\"",[255,1]]"#.into()),
        ),
        ("journald.unit", text("u")),
    ];
    assert_eq!(attributes(&decoded.records[0]), expected);
    let expected = [("journald.tag", text("z"))];
    assert_eq!(attributes(&decoded.records[1]), expected);
}

#[test]
fn what_is_no_text_is_kept_as_it_was() {
    let body = [binary("MESSAGE", b"a\xffb"), binary("DATA", b"\xfe\n\n")].concat();
    let decoded = decoded(&body);
    let record = &decoded.records[0];
    assert_eq!(&*record.body, "a\u{fffd}b");
    let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    let expected = [
        ("log.record.original", bytes(b"a\xffb")),
        ("journald.data", bytes(b"\xfe\n\n")),
    ];
    assert_eq!(attributes(record), expected);
}

#[test]
fn an_entry_that_cannot_be_a_record_is_rejected_alone() {
    let many = "A=1\n".repeat(FIELDS_MAX + 1);
    let body = format!("MESSAGE=a\n\nlower=1\nA=2\n\n{many}\nMESSAGE=b\nA=3\n\n");
    let decoded = decoded(body.as_bytes());
    let bodies: Vec<_> = decoded.records.iter().map(|record| &*record.body).collect();
    assert_eq!(bodies, ["a", "b"]);
    assert_eq!(attributes(&decoded.records[1]), [("journald.a", text("3"))]);
    let reasons = reasons(decoded);
    assert!(reasons[0].contains("\"lower\""), "{reasons:?}");
    assert!(reasons[1].contains("1020 fields"), "{reasons:?}");
}

#[test]
fn as_many_fields_as_may_be_are_kept() {
    let fields: String = (0..FIELDS_MAX).map(|n| format!("F{n}=1\n")).collect();
    let named = "_PID=1\n_HOSTNAME=h\nSYSLOG_IDENTIFIER=s\n";
    let decoded = decoded(format!("{named}{fields}").as_bytes());
    assert_eq!(decoded.records[0].attributes.len(), ATTRIBUTES_MAX - 1);
}

#[test]
fn a_body_without_frames_is_malformed() {
    for body in [
        &b"MESSAGE=a\n\nMESSAGE\n\x05\0\0\0\0\0\0\0a"[..],
        b"MESSAGE\n\x01\0\0\0\0\0\0\0ab\n",
        b"MESSAGE",
        b"{\"message\":\"a\"}\n{\"message\":\"b\"}\n",
    ] {
        let refused = decode(body, MEMORY).unwrap_err();
        assert!(matches!(refused, DecodeError::Malformed(_)), "{refused:?}");
    }
}

#[test]
fn memory_is_charged_before_it_is_spent() {
    let repeated = format!("A={}\n", "\u{1}".repeat(1000)).repeat(100);
    let no_text = binary("MESSAGE", &vec![0xff; 100_000]);
    for (body, charged) in [
        (b"A=1\nB=2\n\n".repeat(1000), 1000 * overhead(2)),
        // Of these, all that is charged is that they are rejected.
        (b"a=1\n\n".repeat(1000), 1000 * 96),
        (repeated.into_bytes(), overhead(1) + 600_000),
        (no_text, overhead(1) + 300_000),
    ] {
        let (_, spent) = decode(&body, MEMORY).unwrap();
        assert!(spent >= charged, "{spent}");
        assert!(decode(&body, 2 * spent).is_ok());
        let refused = decode(&body, charged - 1);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn ever_new_names_are_charged_and_not_all_remembered() {
    let names = 100_000;
    let body: String = (0..names).map(|n| format!("F{n}=\n\n")).collect();
    let body = Bytes::from(body);
    let (decoded, spent) =
        fuzzing::measure(1 << 30, |meter| entries(&body, 7, names, meter)).unwrap();
    assert_eq!(decoded.records.len(), names);
    let texts: usize = decoded.records.iter().map(LogRecord::text_bytes).sum();
    assert!(spent > names * overhead(1) + texts);
}

#[test]
fn more_entries_than_may_wait_are_not_even_decoded() {
    let body = Bytes::from(b"A=1\n\n".repeat(11));
    let decode = |most| fuzzing::measure(MEMORY, |meter| entries(&body, 7, most, meter));
    assert_eq!(decode(11).unwrap().0.records.len(), 11);
    assert!(matches!(decode(10), Err(DecodeError::Stopped(_))));
}

#[test]
fn an_entry_that_is_rejected_is_shown_without_its_neighbours() {
    let long = "A".repeat(70);
    let body = format!("MESSAGE=one\n\nPRIORITY=3\n{long}=x\n\nMESSAGE=two\n\n");
    let decoded = decoded(body.as_bytes());
    let shown = fuzzing::shown(&decoded);
    assert_eq!((shown.len(), decoded.rejected.len()), (1, 1));
    assert!(shown[0].starts_with(b"PRIORITY=3\n"), "{shown:?}");
    assert!(!shown[0].windows(3).any(|part| part == b"two"), "{shown:?}");
}
