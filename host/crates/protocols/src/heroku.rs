//! Heroku's Logplex over HTTP: `POST` of `application/logplex-1`.
//!
//! The body counts octets, as syslog does over TCP, but its messages have no
//! structured data, not even `-` in its place. Logplex takes 2xx as success,
//! drops a frame at any 4xx, and sends it once more at anything else or after
//! five seconds.
//!
//! The drain's token, in `Logplex-Drain-Token`, is not kept: it is what a drain
//! proves its identity with.

use bytes::Bytes;
use sluice_types::record::{LogRecord, Text};

use crate::answer::{Answer, Verdict};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::syslog::RecordReader;
use crate::syslog::framer::{Framer, Next};

/// The longest id of a frame that becomes a part of keys, in bytes. Logplex's has
/// 32.
const FRAME_ID_BYTES_MAX: usize = 128;
/// The most digits of a place in a frame, and the sign before it.
const PLACE_BYTES_MAX: usize = 21;
/// The shortest message, about, in bytes.
const MESSAGE_BYTES_MIN: usize = 64;

/// What the headers say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `Logplex-Msg-Count`: how many messages there should be. The body is right
    /// if they differ.
    pub message_count: Option<&'a str>,
    /// `Logplex-Frame-Id`: the same when the frame is sent again. A record's key
    /// is this, `-`, and its place in the frame, from 0.
    pub frame_id: Option<&'a str>,
}

/// One record for each message. If the rest of the body cannot be framed, it is
/// one rejection.
///
/// # Errors
/// Not even the first message can be framed.
pub fn decode(
    body: &Bytes,
    headers: Headers<'_>,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let mut reader = RecordReader::new(observed).without_structured_data();
    let frame_id = headers.frame_id.map(str::trim);
    let frame_id = frame_id.filter(|id| (1..=FRAME_ID_BYTES_MAX).contains(&id.len()));
    let text = Text::try_from(body.clone()).ok();
    let mut decoding = Decoding::new(meter, most);
    let count = headers
        .message_count
        .and_then(|count| count.trim().parse().ok());
    decoding.expect(count.unwrap_or(0).min(body.len() / MESSAGE_BYTES_MIN + 1));
    let mut framer = Framer::counting(body.len());
    let (mut at, mut place) = (0, 0);
    while !decoding.is_stopped() {
        let unread = body.get(at..).unwrap_or_default();
        let wrong = match framer.next(unread) {
            Ok(Next::Message(message)) => {
                let range = at + message.range.start..at + message.range.end;
                let source = body.get(range.clone()).unwrap_or_default();
                decoding.add(source, |meter| {
                    let record = reader.read(body, text.as_ref(), range, false, meter)?;
                    with_key(record, frame_id, place, meter)
                });
                at += message.consumed;
                place += 1;
                continue;
            }
            Ok(Next::More { consumed }) if consumed == unread.len() => break,
            Ok(Next::More { .. }) => "the body ends in a message".to_owned(),
            Err(error) => error.to_string(),
        };
        let of = count.map_or(String::new(), |count: usize| format!(" of {count}"));
        let reason = format!("message {place}{of} cannot be framed: {wrong}");
        if place == 0 {
            return Err(DecodeError::Malformed(reason));
        }
        decoding.add(unread, |_| Err(reason));
        break;
    }
    Ok(decoding.finish(body.len()))
}

/// What Logplex is told. It retries only at 5xx, and tells nobody what an answer
/// says besides its status.
#[must_use]
pub fn answer(verdict: Verdict<'_>) -> Answer {
    const TEXT: &str = "text/plain; charset=utf-8";
    match verdict {
        Verdict::Settled { .. } => Answer::new(204, "", ""),
        Verdict::Busy(reason) | Verdict::Unknown(reason) => {
            Answer::new(503, TEXT, reason).retried_after_a_second()
        }
        Verdict::Stopping => {
            Answer::new(503, TEXT, "this node is stopping").retried_after_a_second()
        }
        Verdict::NoToken => Answer::new(401, TEXT, "a token is required as the password")
            .with_header("www-authenticate", "Basic realm=\"sluice\""),
        Verdict::WrongToken => Answer::new(403, TEXT, "the token is wrong"),
        Verdict::Malformed(reason) => Answer::new(400, TEXT, reason),
        Verdict::Unsupported(reason) => Answer::new(415, TEXT, reason),
        Verdict::TooLarge(reason) => Answer::new(413, TEXT, reason),
    }
}

fn with_key(
    record: LogRecord,
    frame_id: Option<&str>,
    place: usize,
    meter: &mut Meter,
) -> Result<LogRecord, String> {
    let Some(id) = frame_id else {
        return Ok(record);
    };
    if !meter.charge(id.len() + PLACE_BYTES_MAX) {
        return Err("no memory".to_owned());
    }
    let key = Some(format!("{id}-{place}").into());
    Ok(LogRecord { key, ..record })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;
    use crate::rejected::Rejections;
    use sluice_types::record::{Value, overhead};

    /// As Heroku's documentation and Logplex's show them.
    const FRAME: &str = "83 <40>1 2012-11-30T06:45:29+00:00 host app web.3 - State changed from \
        starting to up\n\
        70 <174>1 2012-07-22T00:06:26+00:00 host erlang console - Hi from erlang\n";

    fn decoded(
        body: impl Into<Bytes>,
        headers: Headers<'_>,
        memory: usize,
    ) -> Result<(Decoded, usize), DecodeError> {
        let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        let decode = |meter: &mut Meter| decode(&body.into(), headers, 7, 100, meter);
        let (decoded, reservation) = meter.measure(decode)?;
        Ok((decoded, reservation.spent()))
    }

    fn records(body: impl Into<Bytes>) -> Vec<LogRecord> {
        let (decoded, _) = decoded(body, Headers::default(), 1 << 20).unwrap();
        assert_eq!(decoded.rejected.len(), 0);
        decoded.records
    }

    #[test]
    fn a_frame_is_decoded_and_its_records_have_keys() {
        for count in [None, Some("2"), Some("7"), Some("many")] {
            let headers = Headers {
                message_count: count,
                frame_id: Some("09C557EAFCFB6CF2740EE62F62971098"),
            };
            let (decoded, _) = decoded(FRAME, headers, 1 << 20).unwrap();
            let [first, second] = &*decoded.records else {
                panic!("{decoded:?}");
            };
            assert_eq!(&*first.body, "State changed from starting to up");
            assert_eq!(first.timestamp, 1_354_257_929_000_000_000);
            let text = |text: &'static str| Value::Text(text.into());
            let expected = [
                ("syslog.facility", text("syslog")),
                ("syslog.severity", text("emerg")),
                ("host.name", text("host")),
                ("service.name", text("app")),
                ("syslog.procid", text("web.3")),
            ];
            let attributes = first.attributes.iter();
            let attributes: Vec<_> = attributes.map(|(n, v)| (&**n, v.clone())).collect();
            assert_eq!(attributes, expected);
            assert_eq!(&*second.body, "Hi from erlang");
            let keys = decoded.records.iter().map(|record| record.key.as_deref());
            let expected = ["0", "1"].map(|n| format!("09C557EAFCFB6CF2740EE62F62971098-{n}"));
            assert!(keys.eq(expected.iter().map(|key| Some(&**key))));
        }
    }

    #[test]
    fn a_message_keeps_what_would_be_structured_data_elsewhere() {
        for message in ["- item", "-", "[a x=\"1\"] text", "[INFO] text"] {
            let line = format!("<40>1 2012-11-30T06:45:29+00:00 host app web.3 - {message}\n");
            let records = records(format!("{} {line}", line.len()));
            assert_eq!(&*records[0].body, message);
        }
    }

    #[test]
    fn an_empty_frame_has_no_records() {
        assert!(records("").is_empty());
        assert!(records("\n\r\n").is_empty());
        assert_eq!(records("5 hello")[0].key, None);
    }

    #[test]
    fn what_cannot_be_framed_is_rejected_behind_what_can() {
        for (rest, reason) in [
            (
                "x",
                "message 2 of 3 cannot be framed: the connection counts octets",
            ),
            (
                "99 <40>1",
                "message 2 of 3 cannot be framed: the body ends in a message",
            ),
            (
                "1234567890 <",
                "message 2 of 3 cannot be framed: the length",
            ),
        ] {
            let headers = Headers {
                message_count: Some("3"),
                ..Headers::default()
            };
            let (decoded, _) = decoded(format!("{FRAME}{rest}"), headers, 1 << 20).unwrap();
            assert_eq!(decoded.records.len(), 2);
            let rejections = decoded.rejected.merge(Vec::new());
            assert_eq!((rejections.total, rejections.listed[0].index), (1, 2));
            let said = &rejections.listed[0].reason;
            assert!(said.starts_with(reason), "{said}");
            let malformed = decoded_malformed(rest);
            assert!(
                malformed.starts_with("message 0 cannot be framed"),
                "{malformed}"
            );
        }
    }

    fn decoded_malformed(body: &'static str) -> String {
        match decoded(body, Headers::default(), 1 << 20) {
            Err(DecodeError::Malformed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_are_charged_and_long_ids_are_none() {
        let with_id = |id, memory| {
            let headers = Headers {
                frame_id: Some(id),
                ..Headers::default()
            };
            decoded("1 a".repeat(50), headers, memory)
        };
        let long = "x".repeat(FRAME_ID_BYTES_MAX);
        let (_, charged) = with_id(&long, 1 << 20).unwrap();
        assert!(charged >= 50 * (overhead(0) + long.len() + 2), "{charged}");
        assert!(matches!(
            with_id(&long, charged - 1),
            Err(DecodeError::Stopped(_))
        ));
        for id in ["", " ", &format!("{long}x")] {
            assert_eq!(with_id(id, 1 << 20).unwrap().0.records[0].key, None);
        }
    }

    #[test]
    fn only_what_may_be_sent_again_is_answered_with_503() {
        let rejections = Rejections::default();
        let settled = Verdict::Settled {
            total: 2,
            rejections: &rejections,
        };
        assert_eq!(answer(settled), Answer::new(204, "", ""));
        for verdict in [
            Verdict::Busy("full"),
            Verdict::Stopping,
            Verdict::Unknown("lost"),
        ] {
            let answer = answer(verdict);
            assert_eq!(answer.status, 503);
            assert_eq!(answer.headers, [("retry-after", "1".to_owned())]);
        }
        for (verdict, status) in [
            (Verdict::NoToken, 401),
            (Verdict::WrongToken, 403),
            (Verdict::Malformed("no"), 400),
            (Verdict::Unsupported("no"), 415),
            (Verdict::TooLarge("no"), 413),
        ] {
            assert_eq!(answer(verdict).status, status);
        }
    }
}
