//! Random sessions, in the manner of those of syslog.

use std::ops::Range;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use super::decode;
use super::framer::{Framer, FramingError, Next};
use super::response::write_answers;
use crate::syslog::fuzz_support::{OBSERVED, fuzz, metered, segments};

/// Transaction, data, and whether they were cut.
type Found = (u32, Vec<u8>, bool);

/// What a client sends in these segments.
fn framed(
    longest: usize,
    bytes: &[u8],
    segments: &[Range<usize>],
) -> (Vec<Found>, Option<FramingError>) {
    let mut framer = Framer::new(longest);
    let (mut frames, mut unread) = (Vec::new(), Vec::new());
    for segment in segments {
        unread.extend_from_slice(&bytes[segment.clone()]);
        loop {
            match framer.next(&unread) {
                Ok(Next::Frame(found)) => {
                    let data = unread[found.data.clone()].to_vec();
                    frames.push((found.transaction, data, found.is_truncated));
                    unread.drain(..found.consumed);
                }
                Ok(Next::More { consumed }) => {
                    unread.drain(..consumed);
                    break;
                }
                Err(error) => {
                    assert_eq!(framer.next(&unread), Err(error));
                    return (frames, Some(error));
                }
            }
        }
        assert!(unread.len() <= framer.unread_max());
    }
    (frames, None)
}

/// Frames as they are written, with some of their bytes changed or none.
fn session(rng: &mut StdRng) -> (Vec<u8>, Vec<(u32, Vec<u8>)>) {
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    for _ in 0..rng.random_range(0..6) {
        let transaction = rng.random_range(0..=999_999_999);
        let command = ["syslog", "open", "close", "x"][rng.random_range(0..4)];
        let length = rng.random_range(0..30);
        let data: Vec<u8> = (0..length)
            .map(|_| b"<12>x \n\xff"[rng.random_range(0..8)])
            .collect();
        bytes.extend(format!("{transaction} {command} {}", data.len()).as_bytes());
        if !data.is_empty() {
            bytes.push(b' ');
            bytes.extend(&data);
        }
        bytes.push(b'\n');
        frames.push((transaction, data));
    }
    (bytes, frames)
}

#[test]
fn frames_are_found_as_they_were_written() {
    fuzz(|rng| {
        let (bytes, expected) = session(rng);
        let longest = rng.random_range(1..40);
        let segments = segments(rng, bytes.len());
        let (found, error) = framed(longest, &bytes, &segments);
        assert_eq!((found.len(), error), (expected.len(), None));
        for ((transaction, data, is_cut), (number, whole)) in found.iter().zip(&expected) {
            assert_eq!(transaction, number);
            assert_eq!(*is_cut, whole.len() > longest);
            assert!(whole.starts_with(data) && data.len() + 3 >= whole.len().min(longest));
        }
    });
}

#[test]
fn a_session_is_framed_the_same_however_its_bytes_arrive() {
    fuzz(|rng| {
        let (mut bytes, _) = session(rng);
        for _ in 0..rng.random_range(0..3) {
            if !bytes.is_empty() {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = [b'0', b' ', b'\n', b'x', rng.random()][rng.random_range(0..5)];
            }
        }
        let longest = rng.random_range(1..40);
        let whole = framed(longest, &bytes, std::slice::from_ref(&(0..bytes.len())));
        let segments = segments(rng, bytes.len());
        assert_eq!(framed(longest, &bytes, &segments), whole);
        let batch = Framer::new(longest).batch(&bytes, usize::MAX);
        assert_eq!(batch.error, whole.1);
        let body = Bytes::from(bytes).slice(..batch.bytes);
        let frames: Vec<_> = batch.frames(&body).collect();
        assert_eq!(frames.len(), whole.0.len());
        let messages = frames
            .iter()
            .filter(|frame| decode::is_message(frame, &body));
        let (decoded, _) = metered(1 << 30, |meter| {
            decode::messages(batch, &body, OBSERVED, usize::MAX, meter)
        })
        .unwrap();
        assert_eq!(decoded.records.len(), messages.count());
        let mut answers = Vec::new();
        write_answers(batch, &body, &mut answers);
        let lines = answers.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines <= 4 * frames.len());
    });
}
