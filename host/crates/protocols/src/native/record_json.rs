//! Decodes one JSON object to a record.
//!
//! The text is the first of `body`, `message`, `log` and `msg` that is present,
//! the time the first of `timestamp`, `time`, `@timestamp` and `date`. The
//! severity is `severity` or `level`, and the key is `id`. Everything else is an
//! attribute. For the fields named here, null counts as absent. Texts without
//! escapes share the memory of the request.

use crate::json::fields::{Field, as_text, drained, is_null, merge_repeated, take};
use crate::json::object::{self, ObjectError};
use crate::meter::Meter;
use crate::{severity, time};
use sluice_types::record::{LogRecord, Text};

const TEXT: [&str; 4] = ["body", "message", "log", "msg"];
const TIME: [&str; 4] = ["timestamp", "time", "@timestamp", "date"];
const SEVERITY: [&str; 2] = ["severity", "level"];
const KEY: [&str; 1] = ["id"];

/// The most attributes of a record.
const ATTRIBUTES_MAX: usize = 1024;
/// The most fields of an object: the attributes and text, time, severity and key.
const FIELDS_MAX: usize = ATTRIBUTES_MAX + 4;

/// Reads one object after the other.
#[derive(Debug)]
pub(crate) struct RecordReader {
    observed: u64,
    /// The fields of the object that is being read, in memory that is used
    /// again for the next one.
    fields: Vec<Field>,
}

impl RecordReader {
    /// For records that were observed at this time.
    pub(crate) const fn new(observed: u64) -> Self {
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
    pub(crate) fn read(
        &mut self,
        whole: &Text,
        json: &str,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        self.fields.clear();
        let read = object::read(whole, json, FIELDS_MAX, &mut self.fields, meter);
        read.map_err(|error| match error {
            ObjectError::TooMany => too_many_attributes(),
            ObjectError::Invalid(reason) => reason,
        })?;
        assemble(&mut self.fields, self.observed)
    }
}

fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}

/// Removes the fields named in this file that are null.
fn drop_absent(fields: &mut Vec<Field>) {
    let named = [&TEXT[..], &TIME, &SEVERITY, &KEY];
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
        record.timestamp = time::nanoseconds(&time)?;
    }
    if let Some((_, key)) = take(fields, &KEY) {
        record.key = Some(as_text(key)).filter(|key| !key.is_empty());
    }
    if let Some((name, value)) = take(fields, &SEVERITY) {
        match severity::of_value(&value) {
            Some(severity) => record.severity = severity,
            // Of an unknown scale: kept as it is.
            None => fields.push((name, value)),
        }
    }
    if fields.len() > ATTRIBUTES_MAX {
        return Err(too_many_attributes());
    }
    record.attributes = drained(fields).into();
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;
    use sluice_types::record::{Severity, Value};

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
