//! Decodes one JSON object to a record.
//!
//! The text is the first of `body`, `message`, `log` and `msg` that is present,
//! the time the first of `timestamp`, `time`, `@timestamp` and `date`. The
//! severity is `severity` or `level`, and the key is `id`. Everything else is an
//! attribute. For the fields named here, null counts as absent. Texts without
//! escapes share the memory of the request.

use std::fmt::Display;

use crate::json::scanner::Scanner;
use crate::json::written::{FieldValue, Fields};
use crate::meter::Meter;
use crate::{severity, time};
use sluice_types::record::{LogRecord, Severity, Text, Value};

/// The most attributes of a record.
const ATTRIBUTES_MAX: usize = 1024;
/// The most fields of an object: the attributes and text, time, severity and key.
const FIELDS_MAX: usize = ATTRIBUTES_MAX + 4;

/// Reads one object after the other.
#[derive(Debug)]
pub(crate) struct RecordReader<'a> {
    observed: u64,
    /// The fields of the object that is being read, in memory that is used
    /// again for the next one.
    fields: Fields<'a>,
}

/// What a field is to a record. The number is its rank among those with the same
/// meaning; the least one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Text(u8),
    Time(u8),
    Severity(u8),
    Key,
    Attribute,
}

/// Where the fields are that are no attributes, with their ranks.
#[derive(Debug, Default)]
struct Found {
    text: Option<(u8, usize)>,
    time: Option<(u8, usize)>,
    severity: Option<(u8, usize)>,
    key: Option<(u8, usize)>,
    /// Whether there are fields that are to be left out.
    has_absent: bool,
}

impl<'a> RecordReader<'a> {
    /// For records that were observed at this time.
    pub(crate) fn new(observed: u64) -> Self {
        Self {
            observed,
            fields: Fields::default(),
        }
    }

    /// When the records were observed.
    pub(crate) const fn observed(&self) -> u64 {
        self.observed
    }

    /// Reads an object that is a part of `whole`, and charges texts that share
    /// no memory with it.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(crate) fn read(
        &mut self,
        whole: &Text,
        json: &'a str,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        let mut scanner = Scanner::new(json);
        self.read_fields(&mut scanner, whole, meter)?;
        scanner.end().map_err(|problem| no_object(&problem))?;
        self.assemble(whole)
    }

    /// The same of an object that more follows, and its length in bytes if it is JSON.
    pub(crate) fn read_first(
        &mut self,
        whole: &Text,
        json: &'a str,
        meter: &mut Meter,
    ) -> (Result<LogRecord, String>, Option<usize>) {
        let mut scanner = Scanner::new(json);
        match self.read_fields(&mut scanner, whole, meter) {
            Ok(()) => (self.assemble(whole), Some(scanner.since(0).len())),
            Err(reason) => (Err(reason), None),
        }
    }

    fn read_fields(
        &mut self,
        scanner: &mut Scanner<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<(), String> {
        self.fields.clear();
        scanner.enter().map_err(|problem| no_object(&problem))?;
        while let Some(name) = scanner.name().map_err(|problem| no_object(&problem))? {
            if self.fields.len() >= FIELDS_MAX {
                return Err(too_many_attributes());
            }
            let value = scanner.value().map_err(|problem| no_object(&problem))?;
            let pushed = self.fields.push(name, value, whole, meter);
            pushed.map_err(|reason| no_object(&reason))?;
        }
        self.fields.keep_last_of_repeated();
        Ok(())
    }

    /// Makes a record of the fields.
    fn assemble(&mut self, whole: &Text) -> Result<LogRecord, String> {
        let found = self.find();
        let mut record = LogRecord::with_body(Text::new(), self.observed);
        if let Some((_, at)) = found.text {
            record.body = self.fields.any_text(at, whole);
        }
        if let Some((_, at)) = found.time {
            record.timestamp = nanoseconds(self.fields.value(at))?;
        }
        if let Some((_, at)) = found.key {
            record.key = Some(self.fields.any_text(at, whole)).filter(|key| !key.is_empty());
        }
        let severity = found.severity.and_then(|(_, at)| {
            // Of an unknown scale it stays as it is.
            let severity = severity_of(self.fields.value(at))?;
            Some((severity, at))
        });
        record.severity = severity.map_or_else(Default::default, |(severity, _)| severity);
        let [text, time, key] = [found.text, found.time, found.key].map(|at| at.map(|at| at.1));
        self.fields
            .remove([text, time, key, severity.map(|at| at.1)]);
        if found.has_absent {
            let is_present = |name: &str, value: FieldValue<'_>| {
                Role::of(name) == Role::Attribute || !value.is_null()
            };
            self.fields.retain(is_present);
        }
        if self.fields.len() > ATTRIBUTES_MAX {
            return Err(too_many_attributes());
        }
        record.attributes = self.fields.attributes(whole).into();
        Ok(record)
    }

    /// Looks for fields that are not attributes.
    fn find(&self) -> Found {
        let mut found = Found::default();
        for (at, (name, value)) in self.fields.iter().enumerate() {
            let (place, rank) = match Role::of(name) {
                Role::Attribute => continue,
                _ if value.is_null() => {
                    found.has_absent = true;
                    continue;
                }
                Role::Text(rank) => (&mut found.text, rank),
                Role::Time(rank) => (&mut found.time, rank),
                Role::Severity(rank) => (&mut found.severity, rank),
                Role::Key => (&mut found.key, 0),
            };
            if place.is_none_or(|(least, _)| rank < least) {
                *place = Some((rank, at));
            }
        }
        found
    }
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            "body" => Self::Text(0),
            "message" => Self::Text(1),
            "log" => Self::Text(2),
            "msg" => Self::Text(3),
            "timestamp" => Self::Time(0),
            "time" => Self::Time(1),
            "@timestamp" => Self::Time(2),
            "date" => Self::Time(3),
            "severity" => Self::Severity(0),
            "level" => Self::Severity(1),
            "id" => Self::Key,
            _ => Self::Attribute,
        }
    }
}

fn nanoseconds(value: Option<FieldValue<'_>>) -> Result<u64, String> {
    match value {
        Some(FieldValue::Text(text)) => time::of_text(text),
        Some(FieldValue::Number(json) | FieldValue::Other(json)) => time::of_number(json),
        Some(FieldValue::Boolean(boolean)) => time::nanoseconds(&Value::Boolean(boolean)),
        None => Ok(0),
    }
}

/// What the severity says, if that is of a scale that is known.
fn severity_of(value: Option<FieldValue<'_>>) -> Option<Severity> {
    match value? {
        FieldValue::Text(text) => severity::of_name(text),
        FieldValue::Number(json) => severity::of_number(json.parse().ok()?),
        FieldValue::Boolean(_) | FieldValue::Other(_) => None,
    }
}

fn no_object(reason: &dyn Display) -> String {
    format!("not a JSON object: {reason}")
}

fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

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
        assert_eq!(record.attributes.len(), ATTRIBUTES_MAX);
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
