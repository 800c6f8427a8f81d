//! Random messages, chunks and streams. `SLUICE_FUZZ_SECONDS` says how long they
//! run (1 if it is not set).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::chunks::{Chunks, Limits};
use super::datagram::{Datagram, classify};
use super::frames::Frames;
use super::message;
use crate::fuzzing::{decoded, fuzz};

/// Pieces that matter to the decoders.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\u{0}",
    "\u{0}",
    "\\ud800",
    "é",
    "null",
    "-1",
    "1e999",
    "{\"short_message\":\"a\"}",
    "{\"version\":\"1.1\",",
    "\"host\":\"vm\",",
    "\"short_message\":\"s\"",
    "\"full_message\":\"f\"",
    "\"timestamp\":1795256480.929,",
    "\"timestamp\":",
    "\"level\":3",
    "\"level\":",
    "\"_a\":",
    "\"_a\":1",
    "\"_\":",
    "x\u{1}",
];

const LONGEST: usize = 40;

#[test]
fn any_message() {
    fuzz(PIECES, |body| {
        let read = decoded(|meter| Ok(message::decode(body, 7, usize::MAX, meter))).unwrap();
        let values = serde_json::Deserializer::from_slice(body).into_iter::<serde_json::Value>();
        let Ok(values) = values.collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let is_message = |value: &&serde_json::Value| {
            let has = |name| value.get(name).is_some_and(|value| !value.is_null());
            has("short_message")
                || value
                    .get("full_message")
                    .is_some_and(|full| full != "" && !full.is_null())
        };
        // An array stands for its elements.
        if values.iter().all(|value| !value.is_array()) {
            assert_eq!(read.records.len() + read.rejected.len(), values.len());
            assert_eq!(read.records.len(), values.iter().filter(is_message).count());
        }
    });
}

#[test]
fn any_stream_gives_the_same_messages_however_it_is_cut() {
    fuzz(PIECES, |stream| {
        let whole = read(stream, stream.len().max(1));
        let mut rng = StdRng::seed_from_u64(stream.len() as u64);
        for _ in 0..3 {
            let step = rng.random_range(1..=stream.len().max(1));
            assert_eq!(read(stream, step), whole, "{step}");
        }
    });
}

/// The records of a stream that comes in parts, and how many of its messages were
/// too long.
fn read(stream: &[u8], step: usize) -> (Vec<String>, usize) {
    let mut frames = Frames::new(LONGEST);
    let (mut unread, mut bodies, mut too_long) = (Vec::new(), Vec::new(), 0);
    let mut decode = |messages: &Bytes, too_long: &mut usize| {
        let read = |meter: &mut crate::meter::Meter| {
            Ok(message::decode_frames(
                messages,
                LONGEST,
                7,
                usize::MAX,
                meter,
            ))
        };
        let decoded = decoded(read).unwrap();
        bodies.extend(decoded.records.iter().map(|record| record.body.to_string()));
        let rejections = decoded.rejected.merge(Vec::new());
        let is_too_long = |reason: &str| reason.contains("longer than");
        *too_long += rejections
            .listed
            .iter()
            .filter(|r| is_too_long(&r.reason))
            .count();
    };
    let parts = stream.chunks(step).map(|part| (part, false));
    for (part, is_end) in parts.chain([(&b""[..], true)]) {
        unread.extend_from_slice(part);
        while let Some(framed) = frames.next(&unread, is_end) {
            let messages = Bytes::copy_from_slice(&unread[framed.messages]);
            decode(&messages, &mut too_long);
            unread.drain(..framed.bytes);
        }
        assert!(unread.len() <= LONGEST);
    }
    (bodies, too_long)
}

#[test]
fn any_chunks_stay_within_their_limits_and_make_whole_messages_only() {
    const LIMITS: Limits = Limits {
        all: 20_000,
        message: 600,
    };
    let mut rng = StdRng::seed_from_u64(rand::random());
    let start = Instant::now();
    let (mut chunks, mut whole) = (Chunks::new(LIMITS), 0);
    for tick in 0..50_000_u64 {
        let (id, index) = (rng.random_range(0..40_u8), rng.random_range(0..4_u8));
        let source = SocketAddr::from(([10, 0, 0, id % 5], u16::from(id % 2)));
        // The payload says what it is a part of.
        let payload = vec![id ^ index << 6; usize::from(id) * 4];
        let mut datagram = [&b"\x1e\x0f1234567"[..], &[id, index, 3 + id % 2]].concat();
        datagram.extend(&payload);
        if rng.random_bool(0.01) {
            let at = rng.random_range(9..12);
            datagram[at] ^= 1 << rng.random_range(0..8);
        }
        let Ok(Datagram::Chunk(chunk)) = classify(&datagram) else {
            continue;
        };
        let now = start + Duration::from_millis(tick * 10);
        if let Ok(Some(message)) = chunks.add(source, chunk, now) {
            whole += 1;
            assert!(message.len() <= LIMITS.message);
        }
        assert!(chunks.bytes() <= LIMITS.all);
    }
    assert!(
        whole > 100 && chunks.dropped() > 100,
        "{whole} {}",
        chunks.dropped()
    );
    chunks.expire(start + Duration::from_secs(10_000));
    assert_eq!(chunks.bytes(), 0);
}
