//! What rsyslog sent, and what hostile clients could.

use bytes::Bytes;
use sluice_types::record::{Value, overhead};

use super::command::Command;
use super::decode;
use super::framer::{DATA_BYTES_MAX, Framer, FramingError, Next};
use super::response::{Session, write_answers};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::syslog::fuzz_support::{OBSERVED, metered};

const OPEN: &[u8] = b"1 open 86 relp_version=0\nrelp_software=librelp,1.11.0,\
    http://librelp.adiscon.com\ncommands=syslog\n";
const MESSAGES: &[u8] = b"2 syslog 49 <132>2026-11-21T10:24:56.513298+00:00 vm app: one\n\
    3 syslog 57 <132>1 2026-11-21T10:25:01.141307+00:00 vm app - - - two\n\n\
    4 syslog 51 <132>2026-11-21T10:24:56.513404+00:00 vm app: three\n";

fn error(bytes: &[u8]) -> FramingError {
    let mut framer = Framer::new(DATA_BYTES_MAX);
    let batch = framer.batch(bytes, 10);
    let error = batch.error.unwrap();
    let rest = &bytes[batch.bytes..];
    assert_eq!(framer.batch(rest, 10).error, Some(error));
    error
}

#[test]
fn a_session_of_rsyslog_from_open_to_close() {
    let bytes = [OPEN, MESSAGES, b"5 close 0\n"].concat();
    let mut framer = Framer::new(DATA_BYTES_MAX);
    let batch = framer.batch(&bytes, 100);
    assert_eq!((batch.bytes, batch.frames), (bytes.len(), 5));
    let body = Bytes::from(bytes);
    let decode = |meter: &mut Meter| decode::messages(batch, &body, OBSERVED, 10, meter);
    let (decoded, _) = metered(1 << 20, decode).unwrap();
    let bodies: Vec<_> = decoded.records.iter().map(|record| &*record.body).collect();
    assert_eq!(bodies, ["one", "two", "three"]);
    let mut answers = Vec::new();
    let session = write_answers(batch, &body, &mut answers);
    let expected = "1 rsp 58 200 OK\nrelp_version=0\nrelp_software=sluice\ncommands=syslog\n\
        2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n5 rsp 0\n0 serverclose 0\n";
    assert_eq!(str::from_utf8(&answers), Ok(expected));
    assert_eq!(session, Session::Closed);
}

#[test]
fn what_has_no_answer_ends_the_session_and_hints_do_not() {
    for (bytes, expected, session) in [
        (
            &b"0 hint 3 abc\n2 syslog 1 a\n"[..],
            "2 rsp 6 200 OK\n",
            Session::Open,
        ),
        (
            b"2 syslog 1 a\n3 starttls 0\n4 syslog 1 a\n",
            "2 rsp 6 200 OK\n0 serverclose 0\n",
            Session::Unknown,
        ),
    ] {
        let batch = Framer::new(10).batch(bytes, 10);
        let mut answers = Vec::new();
        assert_eq!(write_answers(batch, bytes, &mut answers), session);
        assert_eq!(str::from_utf8(&answers), Ok(expected));
    }
}

#[test]
fn frames_without_data_and_unknown_commands() {
    let bytes = b"1 close 0\n2 syslog 0 \n0 hint 3 abc\n999999999 starttls 0\n3 syslog 1 \n\n";
    let batch = Framer::new(10).batch(bytes, 10);
    let frames: Vec<_> = batch.frames(bytes).collect();
    let found = frames
        .iter()
        .map(|frame| (frame.transaction, frame.command));
    let expected = [
        (1, Command::Close),
        (2, Command::Syslog),
        (0, Command::Other),
        (999_999_999, Command::Other),
        (3, Command::Syslog),
    ];
    assert!(found.eq(expected));
    assert!(!frames.iter().any(|frame| decode::is_message(frame, bytes)));
}

#[test]
fn what_is_no_frame_is_named() {
    let letters = "x".repeat(33);
    for (bytes, expected) in [
        ("x", FramingError::Transaction),
        (" 1 syslog 0\n", FramingError::Transaction),
        ("1234567890", FramingError::Transaction),
        ("1\n", FramingError::Transaction),
        ("1 \n", FramingError::Command),
        ("1 sys1og 0\n", FramingError::Command),
        (&format!("1 {letters}"), FramingError::Command),
        ("1 syslog x", FramingError::Length),
        ("1 syslog -1", FramingError::Length),
        ("1 syslog 1234567890", FramingError::Length),
        ("1 syslog 1\n", FramingError::Length),
        ("1 syslog 0x\n", FramingError::Length),
        ("1 syslog 0 x\n", FramingError::End),
        ("1 syslog 3 abcd\n", FramingError::End),
        ("1 syslog 3 ab\n1 close 0\n", FramingError::End),
    ] {
        assert_eq!(error(bytes.as_bytes()), expected, "{bytes}");
    }
}

#[test]
fn frames_before_an_error_are_found() {
    let bytes = [MESSAGES, b"GET / HTTP/1.1\r\n"].concat();
    let mut framer = Framer::new(DATA_BYTES_MAX);
    let batch = framer.batch(&bytes, 100);
    assert_eq!((batch.bytes, batch.frames), (MESSAGES.len(), 3));
    assert_eq!(batch.error, Some(FramingError::Transaction));
}

#[test]
fn data_that_are_too_long_are_cut_and_the_session_goes_on() {
    let long = "x".repeat(500);
    let bytes = format!(
        "1 syslog 504 <12>{long}\n2 syslog 100 <12>{}\n",
        &long[..96]
    );
    let mut framer = Framer::new(100);
    let batch = framer.batch(bytes.as_bytes(), 100);
    assert_eq!((batch.bytes, batch.frames), (bytes.len(), 2));
    let body = Bytes::from(bytes);
    let decode = |meter: &mut Meter| decode::messages(batch, &body, OBSERVED, 10, meter);
    let (decoded, _) = metered(1 << 20, decode).unwrap();
    let truncated = decoded.records.iter().map(|record| {
        assert_eq!(record.body, &long[..96]);
        let (name, value) = record.attributes.iter().last().unwrap();
        (&**name, value) == ("syslog.truncated", &Value::Boolean(true))
    });
    assert!(truncated.eq([true, false]));
    // A gigabyte is announced: no more of it is kept than is taken.
    let mut framer = Framer::new(100);
    let head = format!("1 syslog 999999999 {}", &long[..101]);
    let Ok(Next::Frame(frame)) = framer.next(head.as_bytes()) else {
        panic!("no frame");
    };
    assert!(frame.is_truncated);
    let rest = &head.as_bytes()[frame.consumed..];
    assert_eq!(framer.next(rest), Ok(Next::More { consumed: 0 }));
    let next = framer.next(long.as_bytes());
    assert_eq!(next, Ok(Next::More { consumed: 500 }));
}

#[test]
fn messages_are_charged() {
    let bytes = MESSAGES.repeat(100);
    let batch = Framer::new(DATA_BYTES_MAX).batch(&bytes, 1000);
    let body = Bytes::from(bytes);
    let decode = |most, memory| {
        metered(memory, |meter| {
            decode::messages(batch, &body, OBSERVED, most, meter)
        })
    };
    let (decoded, charged) = decode(300, 1 << 20).unwrap();
    assert_eq!(decoded.records.len(), 300);
    assert!(charged >= 300 * overhead(3));
    assert!(matches!(
        decode(300, charged - 1),
        Err(DecodeError::Stopped(_))
    ));
    assert!(matches!(decode(299, 1 << 20), Err(DecodeError::Stopped(_))));
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Framer>() <= 40);
}
