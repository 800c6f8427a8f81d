//! Random bodies for both decoders: they must not panic, and must account for
//! what they keep. `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not
//! set). A failure prints the seed of its body.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;

use super::*;
use sluice_types::record::overhead;
use sluice_types::record_document::RecordDocument;

/// Pieces that matter to the decoder of the form in JSON.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\\ud800",
    "é",
    "null",
    "true",
    "1e999",
    "\"1700000000000000000\"",
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[",
    "]}]}]}",
    "{}",
    "\"resourceLogs\":[",
    "\"resource\":{\"attributes\":[",
    "\"scopeLogs\":[",
    "\"scope\":{\"name\":\"n\",\"attributes\":[]},",
    "\"logRecords\":[",
    "{\"body\":{\"stringValue\":\"b\"}},",
    "\"body\":{\"arrayValue\":{\"values\":[",
    "\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":\"1\"}}],",
    "{\"key\":\"k\",\"value\":{\"kvlistValue\":{\"values\":[",
    "]}}}",
    "\"timeUnixNano\":",
    "\"traceId\":\"",
    "\"bytesValue\":\"",
];

/// Calls a function with random seeds for `SLUICE_FUZZ_SECONDS`.
pub(super) fn fuzz(check: impl Fn(u64)) {
    let seconds = std::env::var("SLUICE_FUZZ_SECONDS").map_or(1, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = rand::random::<u64>() >> 20;
    let mut bodies = 0_u64;
    while Instant::now() < end {
        for _ in 0..20 {
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
            if let Err(panic) = checked {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
            seed += 1;
            bodies += 1;
        }
    }
    println!("{bodies} bodies");
}

/// The same with a few bits, bytes and parts changed, moved or repeated.
pub(super) fn mutated(mut bytes: Vec<u8>, rng: &mut StdRng, pieces: &[&[u8]]) -> Vec<u8> {
    for _ in 0..rng.random_range(1..5) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..40)).min(bytes.len());
        match rng.random_range(0..8) {
            0 => bytes[at] = rng.random(),
            1 | 2 => bytes[at] ^= 1 << rng.random_range(0..8),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let part = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let piece = pieces[rng.random_range(0..pieces.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

/// Decodes with much memory, and checks that what was decoded is charged and can
/// be kept; and with little, where it must end.
pub(super) fn checked(
    decoder: Decoder,
    body: &Bytes,
    little: usize,
) -> Result<Decoded, DecodeError> {
    // Whether there is enough memory or not, nothing else may happen.
    drop(decode(decoder, little, body.clone()));
    let (decoded, reservation) = decode(decoder, 1 << 30, body.clone())?;
    let records = decoded.records.iter();
    let overheads = records.map(|record| overhead(record.attributes.own_len()));
    let overheads: usize = overheads.sum();
    assert!(reservation.spent() >= overheads + decoded.rejected.bytes());
    for record in &decoded.records {
        assert!(record.attributes.len() <= 1024);
        let mut names: Vec<_> = record.attributes.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        for (_, value) in &record.attributes {
            if let Value::Json(json) = value {
                serde_json::from_str::<&RawValue>(json).unwrap();
            }
        }
        let form = RecordDocument::from(record);
        let json = serde_json::to_vec(&form).unwrap();
        let read = serde_json::from_slice::<RecordDocument>(&json).unwrap();
        assert_eq!(read, form);
    }
    Ok(decoded)
}

#[test]
fn any_body_of_json() {
    fuzz(|seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let little = rng.random_range(0..10_000);
        let body = if rng.random() {
            let text = json_form::any_form(&generator::request(seed), seed);
            let pieces: Vec<_> = PIECES.iter().map(|piece| piece.as_bytes()).collect();
            mutated(text.into_bytes(), &mut rng, &pieces)
        } else {
            let piece = |_| PIECES[rng.random_range(0..PIECES.len())].as_bytes();
            (0..20).flat_map(piece).copied().collect()
        };
        let is_json = serde_json::from_slice::<&RawValue>(&body).is_ok();
        let decoded = checked(json::decode, &body.into(), little);
        // What is no JSON is never decoded.
        assert!(is_json || decoded.is_err());
    });
}

#[test]
fn any_bytes() {
    fuzz(|seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let length = rng.random_range(0..200);
        // Low bytes are tags and lengths that lead on.
        let byte = |_| rng.random::<u8>() >> rng.random_range(0..6);
        let body: Vec<u8> = (0..length).map(byte).collect();
        for decoder in BOTH {
            drop(checked(decoder, &body.clone().into(), 1000));
        }
    });
}
