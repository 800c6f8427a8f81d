//! Random requests: the decoder must not panic, must charge what it keeps, and
//! must find a record for each element that `serde_json` finds.
//! `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not set). A failure
//! prints the seed of its body.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use sluice_types::record::overhead;

use super::decode;
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};

/// Pieces that matter here.
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
    "\n",
    "é",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e9",
    "\"a\":\"b\"",
    "\"message\":\"m\"",
    "\"message\":",
    "\"msg\":\"n\"",
    "\"timestamp\":1795255814113",
    "\"timestamp\":",
    "\"status\":\"warn\"",
    "\"status\":200",
    "\"level\":3",
    "\"service\":\"s\"",
    "\"host\":\"h\"",
    "\"hostname\":{}",
    "\"ddtags\":\"a:b,c\"",
    "\"ddsource\":[1,{\"a\":[]}]",
    "{\"message\":\"m\"}",
    "{}",
    "\"text\"",
];

fn body(rng: &mut StdRng) -> Bytes {
    let mut bytes = Vec::new();
    let is_array = rng.random_bool(0.8);
    let elements = if is_array { rng.random_range(0..5) } else { 1 };
    for at in 0..elements {
        let fields =
            (0..rng.random_range(0..6)).map(|_| PIECES[rng.random_range(19..PIECES.len() - 3)]);
        let fields: Vec<_> = fields.filter(|field| !field.ends_with(':')).collect();
        let comma = if at == 0 { "" } else { "," };
        bytes.extend(format!("{comma}{{{}}}", fields.join(",")).bytes());
    }
    if is_array {
        bytes.insert(0, b'[');
        bytes.push(b']');
    }
    for _ in 0..rng.random_range(0..3) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes.into()
}

fn decode(rng: &mut StdRng, body: &Bytes) -> Result<Decoded, DecodeError> {
    let with = |memory: usize| {
        let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        meter.measure(|meter| decode::json(body, 7, usize::MAX, meter))
    };
    let (decoded, reservation) = with(1 << 30)?;
    let kept: usize = decoded
        .records
        .iter()
        .map(|r| overhead(r.attributes.len()))
        .sum();
    assert!(reservation.spent() >= kept);
    if kept > 0 {
        let refused = with(rng.random_range(0..kept));
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
    Ok(decoded)
}

/// What the body of each record is; `None` if that is not easily said.
fn bodies(json: &Value) -> Vec<Option<&str>> {
    match json {
        Value::Array(elements) => elements.iter().map(message).collect(),
        Value::Object(fields) if fields.is_empty() => Vec::new(),
        object => vec![message(object)],
    }
}

fn message(object: &Value) -> Option<&str> {
    object
        .get("message")?
        .as_str()
        .filter(|text| !text.is_empty())
}

#[test]
fn any_body() {
    let seconds = std::env::var("SLUICE_FUZZ_SECONDS").map_or(1, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = rand::random::<u64>() >> 20;
    let (mut requests, mut valid) = (0_u64, 0_u64);
    while Instant::now() < end {
        let mut rng = StdRng::seed_from_u64(seed);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let body = body(&mut rng);
            let decoded = decode(&mut rng, &body);
            let json = serde_json::from_slice::<Value>(&body);
            let Some(json) = json.ok().filter(|json| json.is_array() || json.is_object()) else {
                return 0;
            };
            let decoded = decoded.unwrap();
            let expected = bodies(&json);
            assert_eq!(
                (decoded.records.len(), decoded.rejected.len()),
                (expected.len(), 0)
            );
            for (record, expected) in decoded.records.iter().zip(expected) {
                assert!(expected.is_none_or(|expected| record.body == expected));
            }
            1
        }));
        valid += checked.unwrap_or_else(|panic| {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic)
        });
        seed += 1;
        requests += 1;
    }
    println!("{requests} requests, {valid} of them valid");
    assert!(valid > requests / 10);
}
