//! Random bodies for the decoders: none may panic or cost more than is charged,
//! and what `serde_json` reads of a body must be read of it here.
//! `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not set).

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{ack, event, raw};
use crate::fuzzing::{decoded, fuzz};
use sluice_types::record;

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
    " ",
    "\u{0}",
    "\\ud800",
    "\\u0041",
    "é",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "1795256481.5",
    "\"1795256481.895752\"",
    "NaN",
    "{\"event\":\"a\"}",
    "{\"event\":{\"line\":\"b\",\"tag\":\"t\"},\"time\":\"1.5\"}",
    "{\"event\":",
    "{\"event\":{\"message\":{\"msg\":\"c\"}},\"host\":\"h\"}",
    "\"event\":",
    "\"fields\":{\"a\":1},",
    "\"time\":",
    "\"host\":\"vm\",",
    "\"source\":",
    "\"message\":",
    "\"msg\":\"m\"",
    "\"level\":\"warn\"",
    "\"otel.log.severity.number\":17",
    "{\"acks\":[",
    "7",
    "]}",
];

/// How many events a body has and which of them have a string as `event`, if all
/// of it is objects back to back.
fn reference(body: &[u8]) -> Option<Vec<Option<String>>> {
    let values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let mut events = Vec::new();
    for value in values {
        let value = value.ok()?;
        let Value::Object(mut event) = value else {
            return None;
        };
        events.push(match event.remove("event") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        });
    }
    Some(events)
}

#[test]
fn any_body_of_events() {
    fuzz(PIECES, |body| {
        let read = decoded(|meter| event::decode(body, 7, usize::MAX, meter));
        let Some(events) = reference(body) else {
            return;
        };
        let strings: Vec<_> = events.iter().flatten().collect();
        let Ok(read) = read else {
            return;
        };
        assert_eq!(read.records.len() + read.rejected.len(), events.len());
        let mut bodies = read.records.iter().map(|record| &*record.body);
        let texts = strings.iter().filter(|text| !text.is_empty());
        // A string is rejected only for what is around it.
        let missing = texts
            .filter(|text| !bodies.any(|body| body == **text))
            .count();
        assert!(missing <= read.rejected.len());
    });
}

/// A value of any type, and of some depth.
fn any_value(rng: &mut StdRng, depth: usize) -> Value {
    match rng.random_range(0..if depth > 2 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => rng.random::<bool>().into(),
        2 => rng.random::<i32>().into(),
        3 => rng.random::<u64>().into(),
        // serde_json does not read every float as it was written.
        4 => (f64::from(rng.random::<i32>()) / 8.0).into(),
        5 => {
            let texts = ["", "a", "é", "\"quoted\"", "a\nb", "\u{1}", "😀", "\\u0041"];
            texts[rng.random_range(0..texts.len())].into()
        }
        6 => (0..rng.random_range(0..3))
            .map(|_| any_value(rng, depth + 1))
            .collect(),
        _ => {
            let names = ["a", "b", "\n", "é", "a.b", "tag"];
            let mut name = || names[rng.random_range(0..names.len())].to_owned();
            let names: Vec<_> = (0..3).map(|_| name()).collect();
            let members = names
                .into_iter()
                .map(|name| (name, any_value(rng, depth + 1)));
            members.collect::<serde_json::Map<_, _>>().into()
        }
    }
}

/// Whether an attribute has this value.
fn is_same(value: &record::Value, expected: &Value) -> bool {
    match value {
        record::Value::Text(text) => expected.as_str() == Some(text),
        record::Value::Integer(integer) => expected.as_i64() == Some(*integer),
        record::Value::Float(float) => expected.as_f64() == Some(*float),
        record::Value::Boolean(boolean) => expected.as_bool() == Some(*boolean),
        record::Value::Bytes(_) => false,
        record::Value::Json(json) => serde_json::from_str::<Value>(json).unwrap() == *expected,
    }
}

#[test]
fn events_of_any_values_are_read_as_serde_json_reads_them() {
    let mut rng = StdRng::seed_from_u64(rand::random());
    let mut records = 0;
    for _ in 0..5000 {
        let mut body = Vec::new();
        let mut events = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            let event = any_value(&mut rng, 0);
            let is_refused = event.is_null() || event == "";
            let whole = json!({"time": rng.random::<u32>(), "event": event, "x": 1});
            match rng.random() {
                true => serde_json::to_writer(&mut body, &whole).unwrap(),
                false => serde_json::to_writer_pretty(&mut body, &whole).unwrap(),
            }
            if !is_refused {
                events.push(event);
            }
        }
        let body = Bytes::from(body);
        let Ok(read) = decoded(|meter| event::decode(&body, 7, usize::MAX, meter)) else {
            assert!(events.is_empty());
            continue;
        };
        assert_eq!(read.records.len(), events.len());
        for (record, event) in read.records.iter().zip(&events) {
            records += 1;
            match event {
                Value::String(text) => assert_eq!(record.body, *text),
                _ => assert_eq!(serde_json::from_str::<Value>(&record.body).unwrap(), *event),
            }
            let members = event.as_object().cloned().unwrap_or_default();
            assert_eq!(record.attributes.len(), members.len() + 1);
            for (name, value) in record.attributes.iter().skip(1) {
                assert!(is_same(value, &members[&**name]), "{name}: {value:?}");
            }
        }
    }
    assert!(records > 5000, "{records}");
}

#[test]
fn any_body_of_lines() {
    fuzz(PIECES, |body| {
        let query = String::from_utf8_lossy(body).replace('\n', "&source=");
        let read = decoded(|meter| raw::decode(body, &query, 7, usize::MAX, meter));
        let strip = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len();
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| strip(line) > 0);
        match read {
            Ok(read) => assert_eq!(read.records.len(), lines.count()),
            Err(_) => assert!(lines.count() == 0 || query.contains("time")),
        }
    });
}

#[test]
fn any_question_for_acknowledgements() {
    fuzz(PIECES, |body: &Bytes| {
        let budget = crate::memory_budget::MemoryBudget::new(1 << 20);
        let mut meter = crate::meter::Meter::new(budget.reserve(), Default::default());
        if let Ok(answer) = ack::answer(body, Some("c"), &mut meter) {
            let read: Value = serde_json::from_slice(&answer.body).unwrap();
            let acks = read["acks"].as_object().unwrap();
            assert!(acks.values().all(|is_indexed| *is_indexed == true));
            assert!(meter.charged() >= answer.body.capacity());
        }
    });
}
