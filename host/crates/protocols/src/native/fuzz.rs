//! Random bodies for every decoder: it must not panic, and must account for
//! every line. `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not set).
//! A failure prints the seed of its body.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;

use super::decode;
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::each_seed;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use crate::{severity, time};
use sluice_types::record::{LogRecord, Text, Value, overhead};
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

const TEXT: [&str; 4] = ["body", "message", "log", "msg"];
const TIME: [&str; 4] = ["timestamp", "time", "@timestamp", "date"];
const SEVERITY: [&str; 2] = ["severity", "level"];

/// Names and values of fields, as they are written.
const NAMES: &[&str] = &[
    "body",
    "message",
    "log",
    "msg",
    "timestamp",
    "time",
    "@timestamp",
    "date",
    "severity",
    "level",
    "id",
    "a",
    "b\\n",
    "\\u0062ody",
    "é",
    "",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-7",
    "1.50",
    "1e3",
    "18446744073709551615",
    "1700000000",
    "1700000000123.5",
    "\"\"",
    "\"warn\"",
    "\"ERROR\"",
    "17",
    "\"a text\"",
    "\"\\ud83d\\ude00\\t\"",
    "\"2026-11-20T09:00:00.25Z\"",
    "\"1970-01-01t00:00:00+01:00\"",
    "[1, {\"a\":[]}]",
    "{}",
    "{\"text\" : \"x\"}",
];

/// An object, most often one that is JSON.
fn object(rng: &mut StdRng) -> String {
    let mut fields = Vec::new();
    for _ in 0..rng.random_range(0..20) {
        let name = NAMES[rng.random_range(0..NAMES.len())];
        let value = VALUES[rng.random_range(0..VALUES.len())];
        let space = ["", " ", "\t"][rng.random_range(0..3)];
        fields.push(format!("{space}\"{name}\"{space}:{space}{value}{space}"));
    }
    let mut object = format!("{{{}}}", fields.join(","));
    if rng.random_bool(0.2) {
        let ends: Vec<_> = object.char_indices().map(|(at, _)| at).collect();
        let at = ends[rng.random_range(0..ends.len())];
        match rng.random_bool(0.5) {
            true => object.truncate(at),
            false => object.insert_str(at, PIECES[rng.random_range(0..PIECES.len())]),
        }
    }
    object
}

/// What the documentation says of an object's fields, with the library's reader.
fn reference(object: &str) -> Option<LogRecord> {
    let mut fields: Vec<(String, (Value, String))> = Vec::new();
    for (name, json) in ordered(object)? {
        let value = (value(&json)?, json);
        match fields.iter_mut().find(|(other, _)| *other == name) {
            Some((_, earlier)) => *earlier = value,
            None => fields.push((name, value)),
        }
    }
    let named = [&TEXT[..], &TIME, &SEVERITY, &["id"]].concat();
    fields.retain(|(name, value)| value.1 != "null" || !named.contains(&&**name));
    let mut record = LogRecord::with_body(Text::new(), 7);
    if let Some(text) = take(&mut fields, &TEXT) {
        record.body = as_text(text);
    }
    if let Some(time) = take(&mut fields, &TIME) {
        record.timestamp = time::nanoseconds(&time.0).ok()?;
    }
    if let Some(key) = take(&mut fields, &["id"]) {
        record.key = Some(as_text(key)).filter(|key| !key.is_empty());
    }
    let first = SEVERITY.iter().find_map(|name| {
        let at = fields.iter().position(|(other, _)| other == name)?;
        Some((at, severity::of_value(&fields[at].1.0)))
    });
    if let Some((at, Some(severity))) = first {
        record.severity = severity;
        fields.remove(at);
    }
    let named = fields
        .into_iter()
        .map(|(name, value)| (name.into(), value.0));
    record.attributes = named.collect();
    Some(record)
}

fn take(fields: &mut Vec<(String, (Value, String))>, names: &[&str]) -> Option<(Value, String)> {
    let find = |name: &&str| fields.iter().position(|(other, _)| other == name);
    let at = names.iter().find_map(find)?;
    Some(fields.remove(at).1)
}

/// A number and an object is a text as it is written.
fn as_text((value, json): (Value, String)) -> Text {
    match value {
        Value::Text(text) => text,
        _ => json.into(),
    }
}

/// The names and the values as they are written, if the object is JSON.
fn ordered(object: &str) -> Option<Vec<(String, String)>> {
    struct Ordered(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Ordered {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Fields;
            impl<'de> serde::de::Visitor<'de> for Fields {
                type Value = Ordered;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Ordered, A::Error> {
                    let mut fields = Vec::new();
                    while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                        fields.push((name, raw.get().to_owned()));
                    }
                    Ok(Ordered(fields))
                }
            }
            from.deserialize_map(Fields)
        }
    }
    serde_json::from_str::<Ordered>(object)
        .ok()
        .map(|ordered| ordered.0)
}

/// `None` if it is a text with half of a character.
fn value(json: &str) -> Option<Value> {
    Some(match json.as_bytes()[0] {
        b'"' => Value::Text(serde_json::from_str::<String>(json).ok()?.into()),
        b't' | b'f' => Value::Boolean(json == "true"),
        b'n' | b'{' | b'[' => Value::Json(json.into()),
        _ => match (json.parse::<i64>(), json.parse::<f64>()) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(float)) if json.contains(['.', 'e']) && float.is_finite() => Value::Float(float),
            _ => Value::Json(json.into()),
        },
    })
}

#[test]
fn any_object_is_read_as_a_library_reads_it() {
    let read = AtomicUsize::new(0);
    each_seed(|rng| {
        let object = object(rng);
        if object.contains("\\ud800") || object.contains('\n') {
            // A half of a character: here the library is not asked for a text.
            return;
        }
        let body = Bytes::from(object.clone());
        let decoded = decoded(|meter| Ok(decode::ndjson(&body, 7, 1, meter))).unwrap();
        let expected = reference(&object);
        assert_eq!(decoded.records.first(), expected.as_ref(), "{object}");
        for body in [object.clone(), format!("[{object} , {object}]")] {
            let body = Bytes::from(body);
            let found = self::decoded(|meter| decode::json(body.clone(), 7, 2, meter));
            let found = found.unwrap_or_default();
            assert_eq!(found.records.first(), expected.as_ref(), "{object}");
            assert_eq!(found.records.last(), expected.as_ref(), "{object}");
        }
        read.fetch_add(usize::from(expected.is_some()), Ordering::Relaxed);
    });
    assert!(read.into_inner() > 20);
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
