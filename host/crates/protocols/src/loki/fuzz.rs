//! Random push requests for both decoders: they must not panic, must charge what
//! they keep, and must agree with `prost` and `serde_json`.
//! `SLUICE_FUZZ_SECONDS` says how long they run (1 if it is not set). A failure
//! prints the seed of its body.

use bytes::Bytes;
use prost::Message as _;
use rand::RngExt;
use rand::rngs::StdRng;
use sluice_types::record::{Value, overhead};

use super::reference::{
    Decoder, Entry, Expected, OBSERVED, Pair, PushRequest, Stream, Timestamp, in_json, in_protobuf,
};
use super::{json, protobuf};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::each_seed as fuzz;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};

/// Labels as clients may write them, and what they are; `None` if they are none.
type Labels = (
    &'static str,
    Option<&'static [(&'static str, &'static str)]>,
);

const LABELS: &[Labels] = &[
    ("{}", Some(&[])),
    (
        r#"{job="a", level="info"}"#,
        Some(&[("job", "a"), ("level", "info")]),
    ),
    (r#"{b="2",a="1",b="3",}"#, Some(&[("b", "3"), ("a", "1")])),
    (
        r#"{service_name="s",x="\"\n\u00e9}"}"#,
        Some(&[("service_name", "s"), ("x", "\"\né}")]),
    ),
    (
        r#"{"service.name"=`n`, service_name=''}"#,
        Some(&[("service.name", "n"), ("service_name", "")]),
    ),
    ("", None),
    ("{a}", None),
    ("{a=\"b\"", None),
    (r#"{a="\z"}"#, None),
];
const NAMES: &[&str] = &[
    "a",
    "b",
    "job",
    "level",
    "severity",
    "detected_level",
    "service_name",
    "service.name",
    "loki.tenant",
    "",
    "é",
];
const VALUES: &[&str] = &["", "a", "1", "warn", "info", "s", "\"\\\n\u{1}", "世"];
const LINES: &[&str] = &["", "a line", "{\"a\":\"b\"}", "é\n\u{2028}\"", "\u{0}"];
const TENANT: Option<&str> = Some("t");

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

fn timestamp(rng: &mut StdRng) -> Timestamp {
    let seconds = match rng.random_range(0..8) {
        0 => 0,
        1 => rng.random(),
        _ => rng.random_range(1_000_000_000..2_000_000_000),
    };
    let nanos = match rng.random_range(0..8) {
        0 => 0,
        1 => rng.random(),
        _ => rng.random_range(0..1_000_000_000),
    };
    Timestamp { seconds, nanos }
}

fn entry(rng: &mut StdRng) -> Entry {
    let pairs = rng.random_range(0..4) * rng.random_range(0..2);
    Entry {
        timestamp: rng.random_bool(0.9).then(|| timestamp(rng)),
        line: pick(rng, LINES).to_owned(),
        metadata: (0..pairs)
            .map(|_| Pair {
                name: pick(rng, NAMES).to_owned(),
                value: pick(rng, VALUES).to_owned(),
            })
            .collect(),
    }
}

fn streams(rng: &mut StdRng) -> Vec<Stream> {
    (0..rng.random_range(0..5))
        .map(|_| Stream {
            labels: pick(rng, LABELS).0.to_owned(),
            entries: (0..rng.random_range(0..4)).map(|_| entry(rng)).collect(),
            hash: rng.random(),
        })
        .collect()
}

/// Changes bytes here and there.
fn mutate(rng: &mut StdRng, body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes.into()
}

/// Decodes with much memory, and with too little. What was decoded is charged.
fn decode(rng: &mut StdRng, decoder: Decoder, body: &Bytes) -> Result<Decoded, DecodeError> {
    let with = |memory: usize| {
        let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        meter.measure(|meter| decoder(body, TENANT, OBSERVED, usize::MAX, meter))
    };
    let (decoded, reservation) = with(1 << 30)?;
    let own = decoded
        .records
        .iter()
        .map(|r| overhead(r.attributes.own_len()));
    let kept = own.sum::<usize>() + decoded.rejected.bytes();
    assert!(reservation.spent() >= kept);
    if kept > 0 {
        let refused = with(rng.random_range(0..kept));
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
    Ok(decoded)
}

/// Whether an entry was rejected for a group in it: only the reference skips groups,
/// and it takes no field of a wrong type.
fn has_group(decoded: &Decoded) -> bool {
    (0..decoded.rejected.len())
        .filter_map(|index| decoded.rejected.reason(index))
        .any(|reason| reason.contains("wrong type"))
}

/// Every entry is a record as the reference has it, or a rejection.
fn agrees(decoded: Decoded, streams: &[Stream]) {
    let mut records = decoded.records.iter();
    let mut places = Vec::new();
    let mut place = 0;
    for stream in streams {
        let known = LABELS.iter().find(|(text, _)| *text == stream.labels);
        for entry in &stream.entries {
            let Some((_, labels)) = known else {
                // There is no reference for any other labels.
                return;
            };
            match labels.and_then(|labels| entry.expected(labels, TENANT)) {
                Some(expected) => assert_eq!(Expected::from(records.next().unwrap()), expected),
                None => places.push(place),
            }
            place += 1;
        }
    }
    assert_eq!(records.len(), 0);
    let rejected = decoded.rejected.merge(Vec::new()).listed;
    assert!(rejected.iter().map(|rejection| rejection.index).eq(places));
}

#[test]
fn any_request_in_protobuf() {
    fuzz(|rng| {
        let streams = streams(rng);
        let body = in_protobuf(&streams);
        agrees(decode(rng, protobuf::decode, &body).unwrap(), &streams);
        let body = mutate(rng, &body);
        let decoded = decode(rng, protobuf::decode, &body);
        match (PushRequest::decode(&*body), decoded) {
            (Ok(request), Ok(decoded)) => {
                let entries = request.streams.iter().map(|stream| stream.entries.len());
                let found = decoded.records.len() + decoded.rejected.len();
                assert_eq!(found, entries.sum::<usize>());
                if !has_group(&decoded) {
                    agrees(decoded, &request.streams);
                }
            }
            (Ok(_), Err(error)) => assert!(error.to_string().contains("wrong type"), "{error}"),
            (Err(_), _) => {}
        }
    });
}

/// Whether JSON can say the time of every entry: nanoseconds that are no other
/// unit.
fn can_be_json(streams: &[Stream]) -> bool {
    let mut entries = streams.iter().flat_map(|stream| &stream.entries);
    entries.all(|entry| {
        let time = entry.timestamp.unwrap_or_default();
        time == Timestamp::default()
            || time.seconds >= 100_000_000 && (0..1_000_000_000).contains(&time.nanos)
    })
}

#[test]
fn any_request_in_json() {
    fuzz(|rng| {
        let streams = streams(rng);
        let body = in_json(&streams);
        let decoded = decode(rng, json::decode, &body).unwrap();
        if can_be_json(&streams) {
            agrees(decoded, &streams);
        }
        let body = mutate(rng, &body);
        let is_json = serde_json::from_slice::<serde_json::Value>(&body);
        let decoded = decode(rng, json::decode, &body);
        let is_request = |json: &serde_json::Value| {
            let streams = json.get("streams");
            json.is_object() && streams.is_none_or(|s| s.is_array() || s.is_null())
        };
        if is_json.as_ref().is_ok_and(is_request) {
            let records = decoded.unwrap().records;
            let lines = lines(is_json.as_ref().unwrap());
            assert!(records.iter().all(|record| lines.contains(&&*record.body)));
        }
    });
}

/// Everything that may be the line of an entry.
fn lines(request: &serde_json::Value) -> Vec<&str> {
    let streams = request["streams"].as_array().into_iter().flatten();
    let entries = streams.flat_map(|stream| ["values", "entries"].map(|name| &stream[name]));
    let entries = entries.filter_map(|entries| entries.as_array()).flatten();
    let lines = entries.flat_map(|entry| [&entry[1], &entry["line"]]);
    lines.filter_map(|line| line.as_str()).collect()
}

#[test]
fn any_labels() {
    fuzz(|rng| {
        let mut text = Bytes::from_static(pick(rng, LABELS).0.as_bytes());
        text = mutate(rng, &text);
        let mut fields = Vec::new();
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        if super::labels::parse(&text, &text, &mut fields, &mut meter).is_ok() {
            let texts = fields.iter().map(|(name, value)| match value {
                Value::Text(text) => name.len() + text.len(),
                Value::Bytes(bytes) => name.len() + bytes.len(),
                other => panic!("{other:?}"),
            });
            assert!(texts.sum::<usize>() < text.len());
        }
    });
}
