//! Random connections and messages. `SLUICE_FUZZ_SECONDS` says how long they run
//! (1 if it is not set). A failure prints its seed.

use std::ops::Range;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use sluice_types::record::{LogRecord, Value, overhead};
use sluice_types::record_document::RecordDocument;

use super::decode;
use super::framer::{Framer, FramingError, Next, trimmed};
use super::tests::{OBSERVED, metered};
use crate::fuzzing::each_seed as fuzz;

/// Pieces that matter to framers and decoders.
const PIECES: &[&str] = &[
    "<13>",
    "<191>",
    "<192>",
    "<",
    ">",
    "1 ",
    "2 ",
    "- ",
    "-",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\r",
    "\0",
    ":",
    ": ",
    "[",
    "]",
    "[7]: ",
    "app: ",
    "vm ",
    "web.1 ",
    "[a x=\"1\"]",
    "[a x=\"",
    "\"",
    "\\\"",
    "\\]",
    "\\",
    "[b]",
    " y=\"",
    "2026-11-21T10:21:12Z ",
    "2026-11-21T10:21:12.5+01:00 ",
    "Nov 21 10:21:12 ",
    "Feb 29 00:00:00 ",
    "Jan  1 00:00:00.123: ",
    "Nov 21 2026 10:21:12 ",
    "<13>1 - - - - - ",
    "<13>1 2026-11-21T10:21:12Z vm app 7 ID ",
    "\u{feff}",
    "\u{e9}",
    "\u{1f600}",
    "5 <12>x",
    "10 ",
    "0 ",
    "999999999 ",
    "text of a message",
];

fn random_bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(0..30) {
        match rng.random_range(0..20) {
            0 => bytes.push(rng.random()),
            1 if !bytes.is_empty() => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => bytes.truncate(rng.random_range(0..=bytes.len())),
            _ => bytes.extend(PIECES[rng.random_range(0..PIECES.len())].as_bytes()),
        }
    }
    bytes
}

/// Cuts bytes into segments: one, single bytes, or random ones.
pub(crate) fn segments(rng: &mut StdRng, length: usize) -> Vec<Range<usize>> {
    let most = [length.max(1), 1, 7][rng.random_range(0..3)];
    let mut segments = Vec::new();
    let mut at = 0;
    while at < length {
        let end = length.min(at + rng.random_range(1..=most));
        segments.push(at..end);
        at = end;
    }
    segments
}

/// Messages, with whether they were cut, and the error at the end.
type Framed = (Vec<(Vec<u8>, bool)>, Option<FramingError>);

/// What a connection sends in these segments.
fn framed(longest: usize, bytes: &[u8], segments: &[Range<usize>]) -> Framed {
    let mut framer = Framer::new(longest);
    let (mut messages, mut unread) = (Vec::new(), Vec::new());
    for segment in segments {
        unread.extend_from_slice(&bytes[segment.clone()]);
        loop {
            match framer.next(&unread) {
                Ok(Next::Message(found)) => {
                    assert!(found.range.end <= found.consumed);
                    messages.push((unread[found.range.clone()].to_vec(), found.is_truncated));
                    unread.drain(..found.consumed);
                }
                Ok(Next::More { consumed }) => {
                    unread.drain(..consumed);
                    break;
                }
                Err(error) => {
                    assert_eq!(framer.next(&unread), Err(error));
                    return (messages, Some(error));
                }
            }
        }
        assert!(unread.len() <= framer.unread_max());
    }
    if let Some(found) = framer.end(&unread) {
        messages.push((unread[found.range].to_vec(), found.is_truncated));
    }
    (messages, None)
}

/// The same by the rules of lines, as simple as can be.
fn lines(longest: usize, bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut rest = bytes;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | 0));
        let line = &rest[..end.unwrap_or(rest.len())];
        let line = match end {
            Some(_) => line.strip_suffix(b"\r").unwrap_or(line),
            None => line,
        };
        if !line.is_empty() {
            lines.push((line.to_vec(), line.len() > longest));
        }
        rest = end.map_or(&[], |end| &rest[end + 1..]);
    }
    lines
}

#[test]
fn a_connection_is_framed_the_same_however_its_bytes_arrive() {
    fuzz(|rng| {
        let bytes = random_bytes(rng);
        let longest = rng.random_range(16..60);
        let whole = framed(longest, &bytes, std::slice::from_ref(&(0..bytes.len())));
        let segments = segments(rng, bytes.len());
        assert_eq!(framed(longest, &bytes, &segments), whole);
        for (message, _) in &whole.0 {
            assert!(!message.is_empty() && message.len() <= longest);
        }
    });
}

#[test]
fn lines_are_framed_as_the_simplest_framer_does() {
    fuzz(|rng| {
        let mut bytes = random_bytes(rng);
        bytes.insert(0, b'<');
        let longest = rng.random_range(16..60);
        let segments = segments(rng, bytes.len());
        let (found, error) = framed(longest, &bytes, &segments);
        assert_eq!(error, None);
        let expected = lines(longest, &bytes);
        assert_eq!(found.len(), expected.len());
        for ((found, is_cut), (line, is_long)) in found.iter().zip(&expected) {
            assert_eq!(is_cut, is_long);
            assert!(line.starts_with(found) && found.len() + 3 >= line.len().min(longest));
        }
    });
}

#[test]
fn counted_messages_are_framed_as_they_were_written() {
    fuzz(|rng| {
        let longest = rng.random_range(16..60);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..rng.random_range(0..5) {
            let message = random_bytes(rng);
            bytes.extend(format!("{} ", message.len()).as_bytes());
            bytes.extend(&message);
            bytes.extend(["", "\n", "\r\n", "\0"][rng.random_range(0..4)].as_bytes());
            let message = trimmed(&message).to_vec();
            if !message.is_empty() {
                expected.push(message);
            }
        }
        let segments = segments(rng, bytes.len());
        let (found, error) = framed(longest, &bytes, &segments);
        assert_eq!((found.len(), error), (expected.len(), None));
        for ((found, is_cut), message) in found.iter().zip(&expected) {
            assert!(message.starts_with(found));
            match is_cut {
                true => assert!(found.len() + 3 >= longest),
                false => assert_eq!(found, message),
            }
        }
    });
}

/// The body is the end of the message, and nothing is a part of it twice.
fn check_record(record: &LogRecord, message: &[u8]) {
    let form = RecordDocument::from(record);
    let json = serde_json::to_vec(&form).unwrap();
    assert_eq!(
        serde_json::from_slice::<RecordDocument>(&json).unwrap(),
        form
    );
    let text = String::from_utf8_lossy(message);
    assert!(text.ends_with(&*record.body), "{text:?}: {record:?}");
    let names = record.attributes.iter().map(|(name, _)| name);
    assert_eq!(
        names.collect::<std::collections::HashSet<_>>().len(),
        record.attributes.len()
    );
    let is_original = |value: &Value| *value == Value::Bytes(Bytes::copy_from_slice(message));
    let has_original = record
        .attributes
        .iter()
        .any(|(_, value)| is_original(value));
    assert_eq!(has_original, std::str::from_utf8(message).is_err());
}

#[test]
fn any_message() {
    fuzz(|rng| {
        let datagrams: Vec<_> = (0..3).map(|_| Bytes::from(random_bytes(rng))).collect();
        let observed = [0, OBSERVED, u64::MAX][rng.random_range(0..3)];
        let (decoded, charged) = metered(1 << 30, |meter| {
            decode::datagrams(&datagrams, observed, usize::MAX, meter)
        })
        .unwrap();
        let messages = datagrams.iter().map(|datagram| trimmed(datagram));
        let messages: Vec<_> = messages.filter(|message| !message.is_empty()).collect();
        assert_eq!(
            (decoded.records.len(), decoded.rejected.len()),
            (messages.len(), 0)
        );
        let mut overheads = 0;
        for (record, message) in decoded.records.iter().zip(messages) {
            check_record(record, message);
            overheads += overhead(record.attributes.len());
        }
        assert!(charged >= overheads);
    });
}

#[test]
fn a_batch_is_decoded_as_its_messages_are_alone() {
    fuzz(|rng| {
        let bytes = random_bytes(rng);
        let longest = rng.random_range(16..100);
        let mut framer = Framer::new(longest);
        let batch = framer.batch(&bytes, rng.random_range(1..5));
        let body = Bytes::copy_from_slice(&bytes[..batch.bytes]);
        let stream = |meter: &mut _| decode::stream(batch, &body, OBSERVED, usize::MAX, meter);
        let (decoded, _) = metered(1 << 30, stream).unwrap();
        assert_eq!(decoded.records.len(), batch.messages);
        let (messages, _) = framed(longest, &bytes, std::slice::from_ref(&(0..bytes.len())));
        for (record, (message, is_truncated)) in decoded.records.iter().zip(messages) {
            check_record(record, &message);
            let truncated = record
                .attributes
                .iter()
                .any(|(name, _)| name == "syslog.truncated");
            assert_eq!(truncated, is_truncated);
        }
    });
}
