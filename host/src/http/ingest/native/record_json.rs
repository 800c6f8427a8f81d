//! Decodes one JSON object to a record.
//!
//! The text is the first of `body`, `message`, `log` and `msg` that is present,
//! the time the first of `timestamp`, `time` and `@timestamp`. The severity is
//! `severity` or `level`, and the key is `id`. Everything else is an attribute.
//! For the fields named here, null counts as absent. Texts without escapes share
//! the memory of the request.

use bytestring::ByteString;
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

use crate::http::ingest::meter::Meter;
use sluice_types::record::{LogRecord, Severity, Text, Value, keep_last_of_repeated};

const TEXT: [&str; 4] = ["body", "message", "log", "msg"];
const TIME: [&str; 3] = ["timestamp", "time", "@timestamp"];
const SEVERITY: [&str; 2] = ["severity", "level"];
const KEY: [&str; 1] = ["id"];

/// The most attributes of a record.
const ATTRIBUTES_MAX: usize = 1024;
/// The most fields of an object: the attributes and text, time, severity and key.
const FIELDS_MAX: usize = ATTRIBUTES_MAX + 4;
/// No name of a severity is longer, in bytes.
const SEVERITY_BYTES_MAX: usize = 16;

type Field = (Text, Value);

/// Reads one object after the other.
#[derive(Debug)]
pub(super) struct RecordReader {
    observed: u64,
    /// The fields of the object that is being read, in memory that is used
    /// again for the next one.
    fields: Vec<Field>,
}

impl RecordReader {
    /// For records that were observed at this time.
    pub(super) const fn new(observed: u64) -> Self {
        Self {
            observed,
            fields: Vec::new(),
        }
    }

    /// Reads an object that is a part of `whole`, and charges texts that share
    /// no memory with it.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(super) fn read(
        &mut self,
        whole: &Text,
        json: &str,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        self.fields.clear();
        // The error for another type would repeat the whole value.
        if !json.trim_ascii_start().starts_with('{') {
            return Err("not a JSON object".to_owned());
        }
        let mut is_excessive = false;
        let fields = Fields {
            share: Share { whole, meter },
            fields: &mut self.fields,
            is_excessive: &mut is_excessive,
        };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let read = deserializer
            .deserialize_map(fields)
            .and_then(|()| deserializer.end());
        if is_excessive {
            return Err(too_many_attributes());
        }
        read.map_err(|error| format!("not a JSON object: {error}"))?;
        assemble(&mut self.fields, self.observed)
    }
}

fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}

/// Collects the fields in their order.
struct Fields<'a> {
    share: Share<'a>,
    fields: &'a mut Vec<Field>,
    /// Set if there are too many.
    is_excessive: &'a mut bool,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if self.fields.len() >= FIELDS_MAX {
                *self.is_excessive = true;
                return Err(A::Error::custom("too many fields"));
            }
            let raw: &RawValue = map.next_value()?;
            let field = (self.share.text(name)?, self.share.value(raw)?);
            self.fields.push(field);
        }
        Ok(())
    }
}

/// A field's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Makes texts that share the memory of `whole` where they can, and charges the
/// others.
struct Share<'a> {
    whole: &'a Text,
    meter: &'a mut Meter,
}

impl Share<'_> {
    /// The value as the record keeps it. `raw` is a part of `whole`.
    fn value<E: serde::de::Error>(&mut self, raw: &RawValue) -> Result<Value, E> {
        let json = raw.get();
        Ok(match json.as_bytes().first() {
            Some(b'"') => Value::Text(self.quoted(json)?),
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'-' | b'0'..=b'9') => match number(json) {
                Some(number) => number,
                None => Value::Json(self.text(Cow::Borrowed(json))?),
            },
            _ => Value::Json(self.text(Cow::Borrowed(json))?),
        })
    }

    /// The text of a JSON string.
    fn quoted<E: serde::de::Error>(&mut self, json: &str) -> Result<Text, E> {
        if json.contains('\\') {
            // Unescaping makes no text longer.
            self.charge(json.len())?;
            let text = serde_json::from_str::<String>(json);
            return text.map(Text::from).map_err(E::custom);
        }
        let inner = json
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        self.text(Cow::Borrowed(inner.unwrap_or_default()))
    }

    fn text<E: serde::de::Error>(&mut self, text: Cow<'_, str>) -> Result<Text, E> {
        match text {
            Cow::Borrowed(text) if is_within(self.whole, text) => Ok(self.whole.slice_ref(text)),
            text => {
                self.charge(text.len())?;
                Ok(ByteString::from(text.into_owned()))
            }
        }
    }

    fn charge<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.meter.charge(bytes) {
            true => Ok(()),
            false => Err(E::custom("stopped")),
        }
    }
}

/// The number if it can be kept without loss.
fn number(json: &str) -> Option<Value> {
    if let Ok(integer) = json.parse() {
        return Some(Value::Integer(integer));
    }
    let is_fraction = json.contains(['.', 'e', 'E']);
    let float: f64 = json.parse().ok()?;
    (is_fraction && float.is_finite()).then_some(Value::Float(float))
}

fn is_within(whole: &str, part: &str) -> bool {
    let (whole, part) = (
        whole.as_bytes().as_ptr_range(),
        part.as_bytes().as_ptr_range(),
    );
    whole.start <= part.start && part.end <= whole.end
}

/// Removes the first of `names` that is present from the fields.
fn take(fields: &mut Vec<Field>, names: &[&str]) -> Option<Field> {
    let find = |name: &&str| fields.iter().position(|(n, _)| n == name);
    names.iter().find_map(find).map(|at| fields.remove(at))
}

/// Removes the fields named in this file that are null.
fn drop_absent(fields: &mut Vec<Field>) {
    let named = [&TEXT[..], &TIME, &SEVERITY, &KEY];
    let is_null = |value: &Value| matches!(value, Value::Json(json) if &**json == "null");
    fields.retain(|(name, value)| {
        !(is_null(value) && named.iter().any(|names| names.contains(&&**name)))
    });
}

/// Makes a record of the fields, and leaves none of them.
fn assemble(fields: &mut Vec<Field>, observed: u64) -> Result<LogRecord, String> {
    let mut record = LogRecord::with_body(Text::new(), observed);
    merge_repeated(fields);
    drop_absent(fields);
    if let Some((_, text)) = take(fields, &TEXT) {
        record.body = as_text(text);
    }
    if let Some((_, time)) = take(fields, &TIME) {
        record.timestamp = super::time::nanoseconds(&time)?;
    }
    if let Some((_, key)) = take(fields, &KEY) {
        record.key = Some(as_text(key)).filter(|key| !key.is_empty());
    }
    if let Some((name, severity)) = take(fields, &SEVERITY) {
        match parse_severity(&severity) {
            Some(severity) => record.severity = severity,
            // Of an unknown scale: kept as it is.
            None => fields.push((name, severity)),
        }
    }
    if fields.len() > ATTRIBUTES_MAX {
        return Err(too_many_attributes());
    }
    record.attributes = drained(fields);
    Ok(record)
}

/// What the list holds, in a list exactly as large as it must be. The memory of
/// the given one is used again.
#[expect(
    clippy::drain_collect,
    reason = "taking it would keep its excess, and leave none for the next record"
)]
fn drained(fields: &mut Vec<Field>) -> Vec<Field> {
    fields.drain(..).collect()
}

/// The last value of a repeated name counts, as in most JSON readers.
fn merge_repeated(fields: &mut Vec<Field>) {
    const FEW: usize = 16;
    let repeats = fields.len() > FEW
        || fields
            .iter()
            .enumerate()
            .any(|(at, (name, _))| fields.iter().skip(at + 1).any(|(other, _)| other == name));
    if repeats {
        keep_last_of_repeated(fields);
    }
}

fn as_text(value: Value) -> Text {
    match value {
        Value::Text(text) | Value::Json(text) => text,
        Value::Integer(integer) => Text::from(integer.to_string()),
        Value::Float(float) => Text::from(float.to_string()),
        Value::Boolean(boolean) => Text::from(boolean.to_string()),
        Value::Bytes(_) => Text::new(),
    }
}

/// OpenTelemetry's severity numbers (1 to 24, four per range), and the names in
/// common use, in upper or lower case.
fn parse_severity(value: &Value) -> Option<Severity> {
    const RANGES: [Severity; 6] = [
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Fatal,
    ];
    match value {
        Value::Integer(number @ 1..=24) => usize::try_from((number - 1) / 4)
            .ok()
            .and_then(|range| RANGES.get(range))
            .copied(),
        Value::Text(name) if name.len() > SEVERITY_BYTES_MAX => None,
        Value::Text(name) => match name.to_ascii_lowercase().as_str() {
            "trace" => Some(Severity::Trace),
            "debug" => Some(Severity::Debug),
            "info" | "information" | "informational" | "notice" => Some(Severity::Info),
            "warn" | "warning" => Some(Severity::Warn),
            "error" | "err" => Some(Severity::Error),
            "fatal" | "critical" | "crit" | "alert" | "emerg" | "emergency" | "panic" => {
                Some(Severity::Fatal)
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ingest::meter::Client;
    use crate::http::memory_budget::MemoryBudget;

    fn read(json: &str) -> Result<LogRecord, String> {
        let whole = Text::from(json);
        let reservation = MemoryBudget::new(1 << 20).reserve();
        let mut meter = Meter::new(reservation, Client::default());
        RecordReader::new(5).read(&whole, &whole.clone(), &mut meter)
    }

    fn attributes(record: &LogRecord) -> Vec<(&str, &Value)> {
        record
            .attributes
            .iter()
            .map(|(name, value)| (&**name, value))
            .collect()
    }

    #[test]
    fn the_first_present_text_is_the_body_and_the_rest_stays() {
        let record = read(r#"{"msg":"c","message":"b","x":1}"#).unwrap();
        assert_eq!(&*record.body, "b");
        let expected = [("msg", &Value::Text("c".into())), ("x", &Value::Integer(1))];
        assert_eq!(attributes(&record), expected);
    }

    #[test]
    fn null_is_absent() {
        let record = read(r#"{"body":null,"log":"l","time":null}"#).unwrap();
        assert_eq!((&*record.body, record.timestamp), ("l", 5));
        assert!(record.attributes.is_empty());
    }

    #[test]
    fn an_empty_id_is_none() {
        assert_eq!(read(r#"{"id":"","body":"b"}"#).unwrap().key, None);
    }

    #[test]
    fn values_keep_their_types_without_loss() {
        let record = read(
            r#"{"i":-7,"big":18446744073709551615,"f":1.5e3,"t":true,"s":"a\nb","o":{"k": [1, 2]},"n":null}"#,
        )
        .unwrap();
        let expected = [
            ("i", &Value::Integer(-7)),
            ("big", &Value::Json("18446744073709551615".into())),
            ("f", &Value::Float(1500.0)),
            ("t", &Value::Boolean(true)),
            ("s", &Value::Text("a\nb".into())),
            ("o", &Value::Json(r#"{"k": [1, 2]}"#.into())),
            ("n", &Value::Json("null".into())),
        ];
        assert_eq!(attributes(&record), expected);
    }

    #[test]
    fn id_time_and_severity_are_understood() {
        let record =
            read(r#"{"body":"x","id":17,"time":"1970-01-01T00:00:01Z","level":"WARNING"}"#)
                .unwrap();
        assert_eq!(record.key.as_deref(), Some("17"));
        assert_eq!((record.timestamp, record.observed), (1_000_000_000, 5));
        assert_eq!(record.severity, Severity::Warn);
        assert_eq!(
            read(r#"{"severity":21}"#).unwrap().severity,
            Severity::Fatal
        );
    }

    #[test]
    fn a_foreign_severity_is_kept_as_it_was_said() {
        let record = read(r#"{"level":30}"#).unwrap();
        assert_eq!(record.severity, Severity::Unspecified);
        assert_eq!(attributes(&record), [("level", &Value::Integer(30))]);
    }

    #[test]
    fn repeated_names_keep_the_last_value() {
        let record = read(r#"{"body":"a","k":1,"body":"b","k":2}"#).unwrap();
        assert_eq!(&*record.body, "b");
        assert_eq!(attributes(&record), [("k", &Value::Integer(2))]);
    }

    #[test]
    fn what_is_no_object_is_named() {
        for json in ["[1]", "\"text\"", "7", "{", "{} {}", "{\"a\":}", ""] {
            assert!(
                read(json).unwrap_err().contains("not a JSON object"),
                "{json}"
            );
        }
        assert!(read(r#"{"time":"noon"}"#).unwrap_err().contains("noon"));
    }

    #[test]
    fn as_many_attributes_as_may_be_are_kept_in_no_more_memory() {
        let object = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
            format!(
                r#"{{"body":"b","time":1,"id":"i","level":"info",{}}}"#,
                fields.join(",")
            )
        };
        let record = read(&object(ATTRIBUTES_MAX)).unwrap();
        let attributes = &record.attributes;
        assert_eq!(
            (attributes.len(), attributes.capacity()),
            (ATTRIBUTES_MAX, ATTRIBUTES_MAX)
        );
        for count in [ATTRIBUTES_MAX + 1, 10 * ATTRIBUTES_MAX] {
            let reason = read(&object(count)).unwrap_err();
            assert!(reason.starts_with("more than 1024 attributes"), "{reason}");
        }
    }

    #[test]
    fn a_reader_forgets_the_object_before() {
        let whole = Text::from(r#"{"a":1,"time":"noon"}{"b":2}"#);
        let reservation = MemoryBudget::new(1 << 20).reserve();
        let mut meter = Meter::new(reservation, Client::default());
        let mut reader = RecordReader::new(5);
        assert!(reader.read(&whole, &whole[..21], &mut meter).is_err());
        let record = reader.read(&whole, &whole[21..], &mut meter).unwrap();
        assert_eq!(attributes(&record), [("b", &Value::Integer(2))]);
    }
}
