//! What the fuzz tests of decoders have in common. `SLUICE_FUZZ_SECONDS` says how
//! long each of them runs (1 if it is not set). A failure prints the seed, from which
//! `SLUICE_FUZZ_SEED` begins.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;

use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use sluice_types::record::{Value, overhead};
use sluice_types::record_document::RecordDocument;

/// Memory for everything but a test of the limit.
pub(crate) const MEMORY: usize = 64 << 20;

/// Calls a function with random numbers from one seed after the other.
pub(crate) fn each_seed(check: impl Fn(&mut StdRng)) {
    let seconds = std::env::var("SLUICE_FUZZ_SECONDS").map_or(1, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = std::env::var("SLUICE_FUZZ_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    while Instant::now() < end {
        for _ in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let checked = catch_unwind(AssertUnwindSafe(|| check(&mut rng)));
            if let Err(panic) = checked {
                eprintln!("seed {seed}");
                resume_unwind(panic);
            }
            seed = seed.wrapping_add(1);
        }
    }
}

/// Some of the pieces in any order, with some bytes changed, added or cut off.
pub(crate) fn mixed(rng: &mut StdRng, pieces: &[&[u8]], most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(0..=most) {
        match rng.random_range(0..25) {
            0 => bytes.push(rng.random()),
            1 if !bytes.is_empty() => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => bytes.truncate(rng.random_range(0..=bytes.len())),
            _ => bytes.extend(pieces[rng.random_range(0..pieces.len())]),
        }
    }
    bytes
}

/// Decodes with this much memory, and returns what was charged too.
pub(crate) fn measure(
    memory: usize,
    decode: impl FnOnce(&mut Meter) -> Result<Decoded, DecodeError>,
) -> Result<(Decoded, usize), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    let (decoded, reservation) = meter.measure(decode)?;
    Ok((decoded, reservation.spent()))
}

/// What was decoded is charged, has each name once, and survives its JSON form.
pub(crate) fn check(decoded: &Decoded, charged: usize) {
    let own = decoded
        .records
        .iter()
        .map(|record| record.attributes.own_len());
    let overheads: usize = own.map(overhead).sum();
    assert!(charged >= overheads + decoded.rejected.bytes());
    for record in &decoded.records {
        let mut names: Vec<_> = record.attributes.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        let form = RecordDocument::from(record);
        let json = serde_json::to_vec(&form).unwrap();
        assert_eq!(
            serde_json::from_slice::<RecordDocument>(&json).unwrap(),
            form
        );
        for (_, value) in &record.attributes {
            if let Value::Json(json) = value {
                serde_json::from_str::<&RawValue>(json).unwrap();
            }
        }
    }
}

/// Checks bodies of these pieces.
pub(crate) fn fuzz(pieces: &[&str], check: impl Fn(&Bytes)) {
    let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    each_seed(|rng| {
        let body = mixed(rng, &pieces, 40);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let body = Bytes::from(body);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&body))) {
            eprintln!("{shown:?}");
            resume_unwind(panic);
        }
    });
}

/// Decodes with much memory, and [checks](check) what was decoded.
pub(crate) fn decoded(
    decode: impl FnOnce(&mut Meter) -> Result<Decoded, DecodeError>,
) -> Result<Decoded, DecodeError> {
    let (decoded, charged) = measure(1 << 30, decode)?;
    check(&decoded, charged);
    Ok(decoded)
}

/// How the messages begin that a decoder rejected, as it shows them.
pub(crate) fn shown(decoded: &Decoded) -> Vec<&[u8]> {
    let examples = decoded.rejected.examples();
    examples.map(|example| example.excerpt).collect()
}
