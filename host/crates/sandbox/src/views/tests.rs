//! All views of random batches say the same as the records.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sluice_types::record::{LogRecord, RecordId, Severity, Text, Value};

use super::attributes::Attributes;
use super::reference::{json_line, text_line};
use super::{columns, json_lines, text_lines};
use crate::bindings::v0_2::Texts;
use crate::lower;

const BATCHES: u64 = 300;
/// The longest escape of a byte.
const GROWTH: usize = 6;

#[test]
fn all_views_agree_with_the_records() {
    for seed in 0..BATCHES {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..20);
        let batch: Vec<_> = (0..count).map(|_| record(&mut rng)).collect();
        lines_agree(&batch, seed);
        columns_agree(&batch, seed);
        attributes_agree(&batch, seed);
    }
}

fn lines_agree(batch: &[LogRecord], seed: u64) {
    let counted: usize = batch.iter().map(LogRecord::size).sum();
    for (lines, expected) in [
        (
            text_lines(batch, usize::MAX),
            batch.iter().map(text_line).collect::<String>(),
        ),
        (
            json_lines(batch, usize::MAX),
            batch.iter().map(json_line).collect::<String>(),
        ),
    ] {
        let lines = String::from_utf8(lines.unwrap()).unwrap();
        assert_eq!(lines, expected, "seed {seed}");
        assert_eq!(lines.lines().count(), batch.len(), "seed {seed}");
        assert!(lines.len() <= GROWTH * counted, "seed {seed}");
    }
}

fn columns_agree(batch: &[LogRecord], seed: u64) {
    let all = |field: fn(&LogRecord) -> String| batch.iter().map(field).collect::<Vec<_>>();
    let bodies = columns::bodies(batch, usize::MAX).unwrap();
    assert_eq!(
        split(&bodies),
        all(|record| record.body.to_string()),
        "seed {seed}"
    );
    let keys = columns::keys(batch, usize::MAX).unwrap();
    let key = |record: &LogRecord| record.key.clone().unwrap_or_default().to_string();
    assert_eq!(split(&keys), all(key), "seed {seed}");
    assert_eq!(columns::len(batch) as usize, batch.len());
    let id = |record: &LogRecord| (record.id.epoch, record.id.sequence);
    let ids = columns::ids(batch)
        .into_iter()
        .map(|id| (id.epoch, id.sequence));
    assert!(ids.eq(batch.iter().map(id)), "seed {seed}");
    let times = columns::timestamps(batch)
        .into_iter()
        .zip(columns::observed(batch));
    assert!(
        times.eq(batch
            .iter()
            .map(|record| (record.timestamp, record.observed)))
    );
    let severities = columns::severities(batch).into_iter();
    assert!(severities.eq(batch.iter().map(|record| lower::severity(record.severity))));
}

fn split(texts: &Texts) -> Vec<String> {
    assert_eq!(texts.offsets.first(), Some(&0));
    let end = texts.offsets.last().map(|end| *end as usize);
    assert_eq!(end, Some(texts.bytes.len()));
    let places = texts.offsets.windows(2);
    let bytes = places.map(|place| &texts.bytes[place[0] as usize..place[1] as usize]);
    bytes
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        .collect()
}

fn attributes_agree(batch: &[LogRecord], seed: u64) {
    let view = Attributes::of(batch);
    let names: BTreeSet<_> = view.names.iter().collect();
    assert_eq!(
        names.len(),
        view.names.len(),
        "seed {seed}: a name is there twice"
    );
    assert_eq!(view.offsets.len(), batch.len() + 1, "seed {seed}");
    assert_eq!(view.name_of.len(), view.values.len(), "seed {seed}");
    for (record, place) in batch.iter().zip(view.offsets.windows(2)) {
        let place = place[0] as usize..place[1] as usize;
        let names = view.name_of[place.clone()]
            .iter()
            .map(|name| view.names[*name as usize]);
        assert!(
            names.eq(record.attributes.iter().map(|(name, _)| &**name)),
            "seed {seed}"
        );
        let values = view.values[place].iter().map(|value| format!("{value:?}"));
        let expected = record.attributes.iter();
        let expected = expected.map(|(_, value)| format!("{:?}", lower::value(value)));
        assert!(values.eq(expected), "seed {seed}");
    }
}

fn record(rng: &mut StdRng) -> LogRecord {
    let attributes = rng.random_range(0..6);
    LogRecord {
        id: RecordId {
            epoch: rng.random(),
            sequence: rng.random(),
        },
        key: rng.random_bool(0.3).then(|| text(rng)),
        timestamp: rng.random(),
        observed: rng.random_range(0..3_000_000_000),
        severity: *Severity::ALL.choose(rng).unwrap(),
        body: text(rng),
        attributes: (0..attributes).map(|_| (name(rng), value(rng))).collect(),
    }
}

/// Some names occur again and again, also in one record.
fn name(rng: &mut StdRng) -> Text {
    let often = ["site", "host", "", "a\"b", "trace_id"];
    if rng.random_bool(0.8) {
        return Text::from_static(often.choose(rng).copied().unwrap());
    }
    text(rng)
}

fn text(rng: &mut StdRng) -> Text {
    let length = match rng.random_range(0..40) {
        0 => 100_000,
        1..5 => 0,
        _ => rng.random_range(1..80),
    };
    let mut character = || match rng.random_range(0..60) {
        0..4 => char::from(rng.random_range(0..0x20_u8)),
        4 => rng.random(),
        5 => char::from_u32(rng.random_range(0x7f..0xc0)).unwrap(),
        6 => char::from_u32(rng.random_range(0x2000..0x2040)).unwrap(),
        7 => '"',
        8 => '\\',
        _ => 'x',
    };
    let text: String = (0..length).map(|_| character()).collect();
    text.into()
}

fn value(rng: &mut StdRng) -> Value {
    match rng.random_range(0..8) {
        0 => Value::Text(text(rng)),
        1 => Value::Integer(rng.random()),
        2 => Value::Float(f64::from_bits(rng.random())),
        3 => Value::Float(
            *[f64::NAN, f64::INFINITY, -0.0, 1e16, 1e-5]
                .choose(rng)
                .unwrap(),
        ),
        4 => Value::Boolean(rng.random()),
        5 => {
            let length = rng.random_range(0..40);
            Value::Bytes((0..length).map(|_| rng.random::<u8>()).collect())
        }
        6 => Value::Json(text(rng)),
        _ => {
            let some = [
                "{}",
                " [1, 2] ",
                "[1,\n2]",
                "null",
                "{\"a\":\"\\u0000\"}",
                "1e5",
                "[",
                "3\r",
            ];
            Value::Json(Text::from_static(some.choose(rng).copied().unwrap()))
        }
    }
}
