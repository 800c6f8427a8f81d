//! Formats a record as exactly one line.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::bindings::sluice::sink::types::{LogRecord, Severity, Value};

/// Appends the body with escaped control characters and a line feed.
///
/// Backslashes are not escaped, so that ordinary text stays as it was written.
/// The JSON format distinguishes `\n` from a line feed.
pub(crate) fn text(record: &LogRecord, out: &mut Vec<u8>) {
    let body = &record.body;
    if may_hold_an_escape(body.as_bytes()) {
        escaped(body, out);
    } else {
        out.extend_from_slice(body.as_bytes());
    }
    out.push(b'\n');
}

/// Whether any byte can start a character that [`is_unsafe`] finds: C0 and DEL,
/// the first byte of C1, and that of U+2028 and U+2029. It does not stop at the
/// first such byte, so that the compiler can compare many at once.
#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
fn may_hold_an_escape(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| {
        found | (*byte < 0x20) | (*byte == 0x7f) | (*byte == 0xc2) | (*byte == 0xe2)
    })
}

/// Whether a character could end a line, move a cursor or color a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn escaped(body: &str, out: &mut Vec<u8>) {
    let mut rest = body;
    while let Some(at) = rest.find(is_unsafe) {
        let (safe, from) = rest.split_at(at);
        out.extend_from_slice(safe.as_bytes());
        let mut characters = from.chars();
        if let Some(character) = characters.next() {
            out.extend(character.escape_default().map(|c| c as u8));
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends the record as a JSON object and a line feed.
///
/// # Errors
/// None in practice, because each part of a record has a JSON form.
pub(crate) fn json(record: &LogRecord, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, &Line(record))?;
    out.push(b'\n');
    Ok(())
}

/// A record's JSON form, without the parts that are absent.
struct Line<'a>(&'a LogRecord);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("epoch", &record.id.epoch)?;
        map.serialize_entry("sequence", &record.id.sequence)?;
        if let Some(key) = &record.key {
            map.serialize_entry("id", key)?;
        }
        map.serialize_entry("timestamp", &rfc3339(record.timestamp))?;
        map.serialize_entry("observed", &rfc3339(record.observed))?;
        if let Some(severity) = severity(record.severity) {
            map.serialize_entry("severity", severity)?;
        }
        map.serialize_entry("body", &record.body)?;
        if !record.attributes.is_empty() {
            map.serialize_entry("attributes", &Attributes(&record.attributes))?;
        }
        map.end()
    }
}

struct Attributes<'a>(&'a [(String, Value)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(name, value)| (name, AttributeValue(value))),
        )
    }
}

struct AttributeValue<'a>(&'a Value);

impl Serialize for AttributeValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Integer(integer) => serializer.serialize_i64(*integer),
            Value::Float(float) => serializer.serialize_f64(*float),
            Value::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Value::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            // JSON may have line feeds between tokens, but they would end the line.
            Value::Json(text) => match serde_json::from_str::<&RawValue>(text) {
                Ok(raw) if !text.contains(['\n', '\r']) => raw.serialize(serializer),
                _ => serializer.serialize_str(text),
            },
        }
    }
}

/// The time as RFC 3339 in UTC, with as many digits as it needs.
fn rfc3339(nanoseconds: u64) -> String {
    let mut text = String::new();
    match Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(timestamp) => _ = write!(text, "{timestamp}"),
        Err(_) => _ = write!(text, "{nanoseconds}ns"),
    }
    text
}

fn severity(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Unspecified => None,
        Severity::Trace => Some("trace"),
        Severity::Debug => Some("debug"),
        Severity::Info => Some("info"),
        Severity::Warn => Some("warn"),
        Severity::Error => Some("error"),
        Severity::Fatal => Some("fatal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::sluice::sink::types::RecordId;

    fn record(body: &str) -> LogRecord {
        LogRecord {
            id: RecordId {
                epoch: 3,
                sequence: 7,
            },
            key: None,
            timestamp: 1_700_000_000_000_000_000,
            observed: 1_700_000_000_500_000_000,
            severity: Severity::Unspecified,
            body: body.to_owned(),
            attributes: Vec::new(),
        }
    }

    fn text_of(body: &str) -> String {
        let mut out = Vec::new();
        text(&record(body), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn json_of(record: &LogRecord) -> String {
        let mut out = Vec::new();
        json(record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_is_untouched() {
        assert_eq!(text_of("Message: 1"), "Message: 1\n");
        assert_eq!(
            text_of("Grüße, 世界 C:\\new â€"),
            "Grüße, 世界 C:\\new â€\n"
        );
        assert_eq!(text_of(""), "\n");
    }

    #[test]
    fn no_body_can_forge_a_line() {
        assert_eq!(text_of("a\nb\r\nc"), "a\\nb\\r\\nc\n");
        assert_eq!(text_of("\u{1b}[31mred\u{7f}"), "\\u{1b}[31mred\\u{7f}\n");
        assert_eq!(
            text_of("x\u{85}y\u{2028}z\u{2029}"),
            "x\\u{85}y\\u{2028}z\\u{2029}\n"
        );
    }

    #[test]
    fn every_character_gives_one_line() {
        for character in (0..=0x0011_0000_u32).filter_map(char::from_u32) {
            let line = text_of(&character.to_string());
            let (last, before) = line.as_bytes().split_last().unwrap();
            assert_eq!(*last, b'\n');
            assert!(!before.contains(&b'\n'), "{character:?}");
            assert!(
                !line.trim_end_matches('\n').chars().any(is_unsafe),
                "{character:?}"
            );
        }
    }

    #[test]
    fn json_omits_absent_parts() {
        assert_eq!(
            json_of(&record("a\n\"b\"")),
            "{\"epoch\":3,\"sequence\":7,\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"body\":\"a\\n\\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn json_holds_every_field() {
        let full = LogRecord {
            key: Some("k-1".to_owned()),
            severity: Severity::Warn,
            attributes: vec![
                ("t".to_owned(), Value::Text("x".to_owned())),
                ("i".to_owned(), Value::Integer(-1)),
                ("f".to_owned(), Value::Float(1.5)),
                ("nan".to_owned(), Value::Float(f64::NAN)),
                ("b".to_owned(), Value::Boolean(true)),
                ("y".to_owned(), Value::Bytes(vec![0, 255])),
                ("j".to_owned(), Value::Json("[1,{\"a\":null}]".to_owned())),
                ("broken".to_owned(), Value::Json("[1,".to_owned())),
                ("lines".to_owned(), Value::Json("[1,\n2]".to_owned())),
            ],
            ..record("hello")
        };
        assert_eq!(
            json_of(&full),
            "{\"epoch\":3,\"sequence\":7,\"id\":\"k-1\",\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"severity\":\"warn\",\"body\":\"hello\",\
             \"attributes\":{\"t\":\"x\",\"i\":-1,\"f\":1.5,\"nan\":null,\"b\":true,\"y\":\"AP8=\",\
             \"j\":[1,{\"a\":null}],\"broken\":\"[1,\",\"lines\":\"[1,\\n2]\"}}\n"
        );
    }
}
