//! What `rmpv` makes of the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value as Packed;
use serde_json::Value as Json;
use sluice_types::record::{LogRecord, Severity, Value};

use super::fault::DEPTH_MAX;
use super::fields::ATTRIBUTES_MAX;
use crate::severity;

/// The values that the bytes are, and how many bytes of what follows them are
/// no value.
pub(super) fn values(mut bytes: &[u8]) -> (Vec<Packed>, usize) {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let mut rest = bytes;
        match rmpv::decode::read_value_with_max_depth(&mut rest, 4096) {
            Ok(value) => values.push(value),
            Err(_) => return (values, bytes.len()),
        }
        bytes = rest;
    }
    (values, 0)
}

/// A text as it is shown.
fn lossy(text: &rmpv::Utf8String) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

fn key(key: &Packed) -> Option<String> {
    match key {
        Packed::Array(_) | Packed::Map(_) => None,
        Packed::Binary(bytes) | Packed::Ext(_, bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        other => Some(match json(other, 1)? {
            Json::String(text) => text,
            scalar => scalar.to_string(),
        }),
    }
}

/// The value as JSON; `None` if it may not be one.
pub(super) fn json(value: &Packed, depth: u8) -> Option<Json> {
    Some(match value {
        Packed::Nil => Json::Null,
        Packed::Boolean(boolean) => Json::Bool(*boolean),
        Packed::Integer(number) => match number.as_u64() {
            Some(number) => number.into(),
            None => number.as_i64()?.into(),
        },
        Packed::F32(float) => f64::from(*float).into(),
        Packed::F64(float) => (*float).into(),
        Packed::String(text) => lossy(text).into(),
        Packed::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => STANDARD.encode(bytes).into(),
        },
        Packed::Ext(_, bytes) => STANDARD.encode(bytes).into(),
        Packed::Array(values) => {
            let depth = depth.checked_sub(1)?;
            let values: Option<Vec<_>> = values.iter().map(|value| json(value, depth)).collect();
            values?.into()
        }
        Packed::Map(fields) => {
            let depth = depth.checked_sub(1)?;
            let mut object = serde_json::Map::new();
            for (name, value) in fields {
                object.insert(key(name)?, json(value, depth)?);
            }
            object.into()
        }
    })
}

/// The same with floats as `serde_json` reads them from text, which is not always
/// the nearest.
fn reread(json: &Json) -> Json {
    serde_json::from_str(&json.to_string()).unwrap()
}

/// A value that can be compared with that of an attribute.
#[derive(Debug, PartialEq)]
pub(super) enum Compared {
    Text(String),
    Bytes(Vec<u8>),
    Integer(i64),
    Float(u64),
    Boolean(bool),
    Json(Json),
}

pub(super) fn compared(value: &Value) -> Compared {
    match value {
        Value::Text(text) => Compared::Text(text.to_string()),
        Value::Bytes(bytes) => Compared::Bytes(bytes.to_vec()),
        Value::Integer(number) => Compared::Integer(*number),
        Value::Float(float) => Compared::Float(float.to_bits()),
        Value::Boolean(boolean) => Compared::Boolean(*boolean),
        Value::Json(json) => Compared::Json(serde_json::from_str(json).unwrap()),
    }
}

fn expected(value: &Packed) -> Option<Compared> {
    Some(match value {
        Packed::String(text) => match text.as_str() {
            Some(text) => Compared::Text(text.to_owned()),
            None => Compared::Bytes(text.as_bytes().to_vec()),
        },
        Packed::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Compared::Text(text.to_owned()),
            Err(_) => Compared::Bytes(bytes.clone()),
        },
        Packed::Ext(_, bytes) => Compared::Bytes(bytes.clone()),
        Packed::Integer(number) if number.is_i64() => Compared::Integer(number.as_i64()?),
        Packed::F32(float) => Compared::Float(f64::from(*float).to_bits()),
        Packed::F64(float) => Compared::Float(float.to_bits()),
        Packed::Boolean(boolean) => Compared::Boolean(*boolean),
        other => Compared::Json(reread(&json(other, DEPTH_MAX)?)),
    })
}

/// A record as it should be, by a way that is as simple as it is slow.
#[derive(Debug, PartialEq)]
pub(super) struct Expected {
    body: String,
    severity: Severity,
    /// Those that no other record needs to have, in ascending order of name.
    attributes: Vec<(String, Compared)>,
}

fn body(value: Compared, attributes: &mut Vec<(String, Compared)>) -> Body {
    match value {
        Compared::Text(text) => Body::Text(text),
        Compared::Bytes(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.as_bytes() != bytes {
                attributes.retain(|(name, _)| name != "log.record.original");
                attributes.push(("log.record.original".into(), Compared::Bytes(bytes)));
            }
            Body::Text(text)
        }
        Compared::Integer(number) => Body::Text(number.to_string()),
        Compared::Float(bits) => Body::Text(f64::from_bits(bits).to_string()),
        Compared::Boolean(boolean) => Body::Text(boolean.to_string()),
        Compared::Json(json) => Body::Json(json),
    }
}

/// The text of a record, which may be JSON.
#[derive(Debug)]
pub(super) enum Body {
    Text(String),
    Json(Json),
}

const NAMED: [&str; 6] = ["log", "message", "msg", "body", "severity", "level"];

/// What the record of an entry should become, with its text; `None` if it should
/// be rejected.
pub(super) fn record(value: &Packed) -> Option<(Expected, Body)> {
    let mut attributes: Vec<(String, Compared)> = Vec::new();
    let Packed::Map(fields) = value else {
        let body = body(expected(value)?, &mut attributes);
        let severity = Severity::Unspecified;
        let body_text = String::new();
        let expected = Expected {
            body: body_text,
            severity,
            attributes,
        };
        return Some((expected, body));
    };
    if fields.len() > ATTRIBUTES_MAX + 2 {
        return None;
    }
    for (name, value) in fields {
        let name = key(name)?;
        let mut value = expected(value)?;
        if NAMED.contains(&&*name) && value == Compared::Json(Json::Null) {
            continue;
        }
        let name = match &*name {
            "container_id" => "container.id".to_owned(),
            "container_name" => {
                if let Compared::Text(text) = &mut value {
                    *text = text.strip_prefix('/').unwrap_or(text).to_owned();
                }
                "container.name".to_owned()
            }
            "fluent.tag" => continue,
            _ => name,
        };
        match attributes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, earlier)) => *earlier = value,
            None => attributes.push((name, value)),
        }
    }
    let take = |attributes: &mut Vec<(String, Compared)>, names: &[&str]| {
        let at = names
            .iter()
            .find_map(|name| attributes.iter().position(|(n, _)| n == name));
        at.map(|at| attributes.remove(at))
    };
    let body = match take(&mut attributes, &NAMED[..4]) {
        Some((_, value)) => body(value, &mut attributes),
        None => Body::Json(reread(&json(value, DEPTH_MAX)?)),
    };
    let mut severity = Severity::Unspecified;
    if let Some((name, value)) = take(&mut attributes, &NAMED[4..]) {
        let known = match &value {
            Compared::Integer(number) => severity::of_number(*number),
            Compared::Text(name) => severity::of_name(name),
            _ => None,
        };
        match known {
            Some(known) => severity = known,
            None => attributes.push((name, value)),
        }
    }
    let expected = Expected {
        body: String::new(),
        severity,
        attributes,
    };
    (expected.attributes.len() < ATTRIBUTES_MAX).then_some((expected, body))
}

/// Whether a field for the text or the severity is there twice.
pub(super) fn repeats(record: &Packed) -> bool {
    let fields = record.as_map().map_or(&[][..], |fields| &fields[..]);
    let count = |named: &str| {
        let names = fields.iter().filter_map(|(name, _)| key(name));
        names.filter(|name| name == named).count()
    };
    NAMED.iter().any(|named| count(named) > 1)
}

/// Adds the metadata of an entry, whose first element this is.
pub(super) fn add_metadata(expected: &mut Expected, first: &Packed) {
    let metadata = &first[1];
    let is_none = metadata.is_nil() || metadata.as_map().is_some_and(Vec::is_empty);
    if first.is_array() && !is_none {
        let json = Compared::Json(reread(&json(metadata, DEPTH_MAX).unwrap()));
        let attributes = &mut expected.attributes;
        attributes.retain(|(name, _)| name != "fluent.metadata");
        attributes.push(("fluent.metadata".into(), json));
    }
}

/// Checks a record against what it should be. Its first attribute is the tag.
pub(super) fn check(record: &LogRecord, (mut expected, body): (Expected, Body)) {
    match body {
        Body::Text(text) => assert_eq!(*record.body, *text),
        Body::Json(json) => assert_eq!(serde_json::from_str::<Json>(&record.body).unwrap(), json),
    }
    let attributes = record.attributes.iter().skip(1);
    let mut attributes: Vec<_> = attributes
        .map(|(name, value)| (name.to_string(), compared(value)))
        .collect();
    attributes.sort_by(|one, other| one.0.cmp(&other.0));
    expected
        .attributes
        .sort_by(|one, other| one.0.cmp(&other.0));
    let found = Expected {
        body: String::new(),
        severity: record.severity,
        attributes,
    };
    assert_eq!(found, expected);
}
