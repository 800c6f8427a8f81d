//! Random requests: no panic, no memory that is not charged, an item for each
//! document, and the same records as by way of `serde_json`. How long they run is
//! said by `SLUICE_FUZZ_SECONDS` (1 if it is not set). A failure prints its seed.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use sluice_types::record::{LogRecord, Value, overhead};
use sluice_types::record_document::RecordDocument;

use super::answer::{self, Reply};
use super::bulk::{self, Bulk};
use super::client::NotNow;
use super::items::Action;
use crate::answer::Verdict;
use crate::error::DecodeError;
use crate::fuzzing::each_seed as fuzz;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use sluice_types::rejection::Rejection;

const OBSERVED: u64 = 7;

/// Pieces of documents that matter to the decoder.
const FIELDS: &[&str] = &[
    "\"message\":\"a text\"",
    "\"message\":\"with \\\"escapes\\\" \\u00e9\\n\"",
    "\"message\":null",
    "\"message\":{\"a\":1}",
    "\"body\":\"b\"",
    "\"body\":{\"text\":\"t\"}",
    "\"body\":{\"text\":\"t\",\"a\":[1]}",
    "\"log\":\"a line\"",
    "\"log\":{\"level\":\"warn\",\"file\":{}}",
    "\"msg\":17",
    "\"msg\":1.5e10",
    "\"MESSAGE\":true",
    "\"@timestamp\":\"2026-11-21T10:05:15.758Z\"",
    "\"@timestamp\":1795255515758",
    "\"@timestamp\":null",
    "\"time\":\"noon\"",
    "\"date\":1795255515.25",
    "\"log.level\":\"error\"",
    "\"level\":30",
    "\"level\":\"INFO\"",
    "\"severity\":17",
    "\"severity_text\":\"nothing\"",
    "\"PRIORITY\":\"notice\"",
    "\"elasticsearch.index\":\"forged\"",
    "\"a\":1",
    "\"a\":-0",
    "\"a\":18446744073709551615",
    "\"b\":[1,{\"c\":\"}\"}]",
    "\"\\u0061\":\"the same name\"",
    "\"\":\"\"",
    "\"世\":\"\u{1f600}\"",
];

/// Pieces of requests.
const PIECES: &[&str] = &[
    "{\"index\":{}}\n",
    "{\"create\":{\"_index\":\"logs\",\"_id\":\"1\"}}\n",
    "{\"update\":{\"_id\":2}}\n{\"doc\":{\"message\":\"x\"},\"doc_as_upsert\":true}\n",
    "{\"delete\":{\"_id\":\"3\"}}\n",
    "{\"message\":\"a\"}\n",
    "{\"message\":\"\\ud800\"}\n",
    "{\"doc\":",
    "{}\n",
    "\n",
    "\r\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "1e999",
    "\u{0}",
    "é",
];

fn decode(body: &Bytes, memory: usize) -> Result<(Bulk, usize), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    let decode = |meter: &mut Meter| bulk::decode(body, None, OBSERVED, usize::MAX, meter);
    let (bulk, reservation) = meter.measure(decode)?;
    Ok((bulk, reservation.spent()))
}

fn any_body(rng: &mut StdRng) -> Bytes {
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(0..30) {
        match rng.random_range(0..20) {
            0 => bytes.push(rng.random()),
            1 if !bytes.is_empty() => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => bytes.truncate(rng.random_range(0..=bytes.len())),
            3..8 => bytes.extend(format!("{{\"index\":{{}}}}\n{}\n", any_document(rng)).bytes()),
            _ => bytes.extend(PIECES[rng.random_range(0..PIECES.len())].as_bytes()),
        }
    }
    bytes.into()
}

fn any_document(rng: &mut StdRng) -> String {
    let count = rng.random_range(0..10);
    let fields: Vec<_> = (0..count)
        .map(|_| FIELDS[rng.random_range(0..FIELDS.len())])
        .collect();
    let mut document = format!("{{{}}}", fields.join(","));
    if rng.random_ratio(1, 10) {
        let at = rng.random_range(0..document.len());
        if document.is_char_boundary(at) {
            document.truncate(at);
        }
    }
    document
}

#[test]
fn any_request() {
    fuzz(|rng| {
        let body = any_body(rng);
        let Ok((mut bulk, spent)) = decode(&body, 1 << 30) else {
            return;
        };
        let records = &bulk.decoded.records;
        let rejected = &bulk.decoded.rejected;
        let own = records
            .iter()
            .map(|record| overhead(record.attributes.own_len()));
        assert!(spent >= own.sum::<usize>() + rejected.bytes() + bulk.items.bytes());
        assert!(spent <= 2000 + 700 * bulk.items.len() + 200 * body.len());
        let refused = bulk
            .items
            .iter()
            .filter(|(_, is_refused)| *is_refused)
            .count();
        assert_eq!(
            (refused, bulk.items.len()),
            (rejected.len(), records.len() + rejected.len())
        );
        for record in records {
            let form = RecordDocument::from(record);
            let json = serde_json::to_vec(&form).unwrap();
            assert_eq!(
                serde_json::from_slice::<RecordDocument>(&json).unwrap(),
                form
            );
        }
        assert!(decode(&body, spent / 2).is_err());
        answer_has_an_item_for_each(&mut bulk, rng);
    });
}

/// Lets a sink reject any of the records, and reads the answer.
fn answer_has_an_item_for_each(bulk: &mut Bulk, rng: &mut StdRng) {
    let expected: Vec<_> = bulk.items.iter().collect();
    let records = 0..bulk.decoded.records.len();
    let by_sink: Vec<_> = records
        .filter(|_| rng.random_bool(0.3))
        .map(|index| Rejection {
            index,
            reason: format!("{index}"),
            is_kept: false,
        })
        .collect();
    bulk.items.refuse(&by_sink);
    let count = bulk.decoded.rejected.len() + by_sink.len();
    let rejections = std::mem::take(&mut bulk.decoded.rejected).merge(by_sink);
    let verdict = Verdict::Settled {
        total: expected.len(),
        rejections: &rejections,
    };
    let Reply::Answer(answer) = answer::bulk(&bulk.items, 1, verdict, NotNow::NoAnswer) else {
        panic!("no answer");
    };
    let answer: Json = serde_json::from_slice(&answer.body).unwrap();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), expected.len());
    let refused = items.iter().zip(expected).filter(|(item, (action, _))| {
        let item = &item[action.name()];
        assert_eq!(item["status"] == 400, item["error"]["type"].is_string());
        item["status"] == 400
    });
    assert_eq!(refused.count(), count);
    assert_eq!(answer["errors"], count > 0);
}

#[test]
fn documents_are_what_serde_json_reads() {
    fuzz(|rng| {
        let document = any_document(rng);
        let is_update = rng.random_bool(0.2);
        let body = match is_update {
            true => format!("{{\"update\":{{}}}}\n{{\"doc\":{document}}}\n"),
            false => format!("{{\"create\":{{\"_index\":\"i\"}}}}\n{document}\n"),
        };
        let (bulk, _) = decode(&body.into(), 1 << 20).unwrap();
        let expected_action = if is_update {
            Action::Update
        } else {
            Action::Create
        };
        assert_eq!(
            bulk.items.iter().next().map(|item| item.0),
            Some(expected_action)
        );
        let record = bulk.decoded.records.first();
        let Ok(Json::Object(fields)) = serde_json::from_str(&document) else {
            assert!(record.is_none(), "{document}");
            assert!(serde_json::from_str::<IgnoredAny>(&document).is_err());
            return;
        };
        let fields: BTreeMap<String, Json> = fields.into_iter().collect();
        is_the_same(record.unwrap(), fields, &document, is_update);
    });
}

/// Removes the first of the fields that is understood.
fn take<T>(
    fields: &mut BTreeMap<String, Json>,
    names: &[&str],
    understand: impl Fn(&str, &Json) -> Option<T>,
) -> Option<T> {
    let find = |name: &&&str| fields.get(**name).and_then(|json| understand(name, json));
    let name = names.iter().find(|name| find(name).is_some())?;
    understand(name, &fields.remove(*name)?)
}

/// Checks a record against the fields that it was made of.
fn is_the_same(
    record: &LogRecord,
    mut fields: BTreeMap<String, Json>,
    document: &str,
    is_update: bool,
) {
    const TEXT: [&str; 5] = ["message", "body", "log", "msg", "MESSAGE"];
    const TIME: [&str; 4] = ["@timestamp", "timestamp", "time", "date"];
    const LEVEL: [&str; 5] = [
        "level",
        "severity",
        "severity_text",
        "severity_number",
        "PRIORITY",
    ];
    let named = |name: &str| {
        name == "log.level" || TEXT.contains(&name) || TIME.contains(&name) || LEVEL.contains(&name)
    };
    fields.retain(|name, json| !(json.is_null() && named(name)));
    let text = take(&mut fields, &TEXT, |name, json| match json {
        Json::String(text) => Some((text.clone(), None)),
        Json::Object(body) if name == "body" => {
            let text = body.get("text")?.as_str()?.to_owned();
            Some((text, (body.len() > 1).then(|| json.clone())))
        }
        // Numbers are as they were written.
        Json::Number(number) if number.is_f64() => Some(("1.5e10".to_owned(), None)),
        Json::Number(number) => Some((number.to_string(), None)),
        Json::Bool(boolean) => Some((boolean.to_string(), None)),
        _ => None,
    });
    let body = match text {
        None => document.to_owned(),
        Some((text, rest)) => {
            fields.extend(rest.map(|rest| ("body".to_owned(), rest)));
            text
        }
    };
    assert_eq!(&*record.body, body, "{document}");
    let time = take(&mut fields, &TIME, |_, json| match json {
        Json::String(text) => text.parse::<jiff::Timestamp>().ok(),
        json => {
            let number = json.as_f64()?;
            let seconds = if number > 1e11 { number / 1e3 } else { number };
            jiff::Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(seconds)).ok()
        }
    });
    let expected = time.map_or(i128::from(OBSERVED), |time| time.as_nanosecond());
    assert!(
        (i128::from(record.timestamp) - expected).abs() < 1000,
        "{document}"
    );
    let severity = |_: &str, json: &Json| match json {
        Json::String(name) => crate::severity::of_name(name),
        json => crate::severity::of_number(json.as_i64().filter(|number| *number != 30)?),
    };
    let nested = fields
        .get("log")
        .and_then(|log| severity("", log.get("level")?));
    // `level` is pino's; it has only 30 here.
    let pino = |name: &str, json: &Json| match json.as_i64() {
        Some(30) => Some(sluice_types::record::Severity::Info),
        _ => severity(name, json),
    };
    let level = nested.or_else(|| take(&mut fields, &["log.level"], severity));
    let level = level.or_else(|| take(&mut fields, &LEVEL, pino));
    assert_eq!(record.severity, level.unwrap_or_default(), "{document}");
    if !is_update {
        fields.insert("elasticsearch.index".to_owned(), "i".into());
    }
    let attributes = record.attributes.iter();
    let attributes: BTreeMap<_, _> = attributes
        .map(|(name, value)| (name.to_string(), json(value)))
        .collect();
    assert_eq!(attributes.len(), record.attributes.len());
    assert_eq!(attributes, fields, "{document}");
}

/// The value as `serde_json` would have read it.
fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(&**text),
        // Of these, there is only `-0` here, which is a float to `serde_json`.
        Value::Integer(0) => Json::from(-0.0),
        Value::Integer(integer) => Json::from(*integer),
        Value::Float(float) => Json::from(*float),
        Value::Boolean(boolean) => Json::from(*boolean),
        Value::Json(json) => serde_json::from_str(json).unwrap(),
        Value::Bytes(bytes) => panic!("{bytes:?}"),
    }
}
