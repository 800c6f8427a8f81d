//! Random bodies for every decoder: it must not panic, and must account for
//! every line. `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not set).
//! A failure prints the seed of its body.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::decode;
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use crate::time;
use sluice_types::record::{Text, Value, overhead};
use sluice_types::record_document::RecordDocument;

/// Pieces that matter to decoders.
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
    "\r\n",
    "\r",
    " ",
    "\u{0}",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "é",
    "世",
    "\u{2028}",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "9223372036854775808",
    "1700000000",
    "1700000000000",
    "1.5",
    "{\"message\":\"a\"}\n",
    "{\"body\":\"x\",\"level\":\"warn\",\"id\":\"k\"}",
    "\"body\":",
    "\"message\":\"",
    "\"log\":",
    "\"msg\":",
    "\"timestamp\":",
    "\"time\":\"2026-11-20T09:00:00Z\"",
    "\"@timestamp\":\"",
    "\"severity\":17",
    "\"level\":\"ERROR\"",
    "\"id\":\"1\"",
    "\"a\":{\"b\":[1,{}]}",
    "\"a\":1,\"a\":2",
    "text of a line",
    "2026-13-40T99:99:99Z",
];

fn body(seed: u64) -> Bytes {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(0..40) {
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
    bytes.into()
}

/// Checks bodies for `SLUICE_FUZZ_SECONDS`, from a random seed on.
fn fuzz(check: impl Fn(u64, &Bytes)) {
    let seconds = std::env::var("SLUICE_FUZZ_SECONDS").map_or(1, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = rand::random::<u64>() >> 20;
    let mut bodies = 0_u64;
    while Instant::now() < end {
        for _ in 0..100 {
            let body = body(seed);
            let checked =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed, &body)));
            if let Err(panic) = checked {
                eprintln!("seed {seed}: {:?}", String::from_utf8_lossy(&body));
                std::panic::resume_unwind(panic);
            }
            seed += 1;
            bodies += 1;
        }
    }
    println!("{bodies} bodies");
}

/// Decodes with much memory, and checks that what was decoded is charged.
fn decoded(
    decode: impl FnOnce(&mut Meter) -> Result<Decoded, DecodeError>,
) -> Result<Decoded, DecodeError> {
    let meter = Meter::new(MemoryBudget::new(1 << 30).reserve(), Client::default());
    let (decoded, reservation) = meter.measure(decode)?;
    let records = decoded.records.iter();
    let overheads: usize = records
        .map(|record| overhead(record.attributes.len()))
        .sum();
    assert!(reservation.spent() >= overheads + decoded.rejected.bytes());
    Ok(decoded)
}

/// Every line that is not empty is a record or a rejection, in order.
fn accounts_for(decoded: Decoded, body: &[u8]) {
    let strip = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len();
    let lines = body.split(|byte| *byte == b'\n');
    let expected = lines.filter(|line| strip(line) > 0).count();
    assert_eq!(decoded.records.len() + decoded.rejected.len(), expected);
    let rejections = decoded.rejected.merge(Vec::new());
    let places: Vec<_> = rejections.listed.iter().map(|r| r.index).collect();
    assert!(places.is_sorted() && places.iter().all(|place| *place < expected));
}

/// What was decoded survives its JSON form.
fn can_be_kept(decoded: &Decoded) {
    for record in &decoded.records {
        let form = RecordDocument::from(record);
        let json = serde_json::to_vec(&form).unwrap();
        assert_eq!(
            serde_json::from_slice::<RecordDocument>(&json).unwrap(),
            form
        );
        assert!(record.size() > 0);
    }
}

#[test]
fn any_body_of_lines() {
    fuzz(|_, body| {
        let lines = |meter: &mut Meter| Ok(decode::lines(body, 7, usize::MAX, meter));
        let decoded = decoded(lines).unwrap();
        can_be_kept(&decoded);
        accounts_for(decoded, body);
    });
}

#[test]
fn any_body_of_ndjson() {
    fuzz(|_, body| {
        let objects = |meter: &mut Meter| Ok(decode::ndjson(body, 7, usize::MAX, meter));
        let decoded = decoded(objects).unwrap();
        can_be_kept(&decoded);
        accounts_for(decoded, body);
    });
}

#[test]
fn any_body_of_json() {
    fuzz(|_, body| {
        let is_json = serde_json::from_slice::<serde_json::Value>(body).is_ok();
        match decoded(|meter| decode::json(body.clone(), 7, usize::MAX, meter)) {
            Ok(decoded) => can_be_kept(&decoded),
            Err(_) => assert!(!is_json || !matches!(body.trim_ascii().first(), Some(b'{' | b'['))),
        }
    });
}

#[test]
fn any_single_message() {
    fuzz(|_, body| {
        let is_text = std::str::from_utf8(body).is_ok();
        assert_eq!(decode::one(body.clone(), None, 7).is_ok(), is_text);
    });
}

#[test]
fn any_time() {
    fuzz(|seed, body| {
        let text = Text::from(String::from_utf8_lossy(body).into_owned());
        for value in [
            Value::Text(text),
            Value::Integer(seed.cast_signed()),
            Value::Float(f64::from_bits(seed.rotate_left(20))),
        ] {
            // It must not panic.
            drop(time::nanoseconds(&value));
        }
    });
}
