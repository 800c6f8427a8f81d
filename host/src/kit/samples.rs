//! Records to try a sink with.

use sluice_types::record::{LogRecord, RecordId, Severity, Text, Value};
use sluice_types::records::Records;

/// How the mark of a record begins.
pub(super) const MARK: &str = "slchk";
/// The bytes of a mark: its begin and ten digits.
pub(super) const MARK_BYTES: usize = MARK.len() + 10;

/// 2026-01-02T03:04:05.678Z, in nanoseconds since the Unix epoch.
const TIME: u64 = 1_767_323_045_678_000_000;
const MIB: usize = 1 << 20;

/// Makes records that can be told apart by a mark in their text.
#[derive(Debug, Default)]
pub(super) struct Samples {
    made: u64,
}

impl Samples {
    /// Ordinary records, severe enough for most filters.
    pub(super) fn ordinary(&mut self, count: usize) -> Records {
        let made = (0..count).map(|_| self.next("an ordinary message"));
        made.collect::<Vec<_>>().into()
    }

    /// One record, whose text has its mark and this.
    fn next(&mut self, text: &str) -> LogRecord {
        self.made += 1;
        let time = TIME + self.made;
        let body = format!("{} {text}", mark(self.made));
        LogRecord {
            id: RecordId {
                epoch: 1,
                sequence: self.made,
            },
            severity: Severity::Error,
            attributes: vec![
                attribute("service.name", Value::Text("shop".into())),
                attribute("host.name", Value::Text("web-1".into())),
                attribute("http.status_code", Value::Integer(503)),
            ]
            .into(),
            ..LogRecord::with_body(body.into(), time)
        }
    }

    /// Records without a text, an attribute, or both.
    pub(super) fn empty_texts(&mut self) -> Records {
        let mut no_body = self.next("");
        no_body.body = Text::new();
        let mut nothing = no_body.clone();
        nothing.id.sequence = self.following();
        nothing.attributes = Vec::new().into();
        nothing.severity = Severity::Unspecified;
        let mut empty_value = self.next("an empty value");
        empty_value.attributes = vec![
            attribute("empty", Value::Text(Text::new())),
            attribute("none", Value::Bytes(bytes::Bytes::new())),
        ]
        .into();
        vec![no_body, nothing, empty_value].into()
    }

    /// A record for each type of value, and for each severity.
    pub(super) fn values(&mut self) -> Records {
        let values = [
            Value::Text("text".into()),
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            Value::Float(0.1),
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(1e300),
            Value::Boolean(true),
            Value::Bytes(bytes::Bytes::from_static(&[0, 0xff, 0xfe, b'"'])),
            Value::Json("null".into()),
            Value::Json(r#"{"a":[1,{"b":null}],"c":"\u0000"}"#.into()),
        ];
        let of_value = values.map(|value| (Severity::Error, vec![attribute("value", value)]));
        let of_severity = Severity::ALL.map(|severity| (severity, Vec::new()));
        let all = of_value.into_iter().chain(of_severity);
        let records = all.map(|(severity, attributes)| LogRecord {
            severity,
            attributes: attributes.into(),
            key: Some("the-producers-id".into()),
            ..self.next("a value")
        });
        records.collect::<Vec<_>>().into()
    }

    /// Large texts, control characters, and names that look like something else.
    pub(super) fn strange(&mut self) -> Records {
        let controls: String = (0..0x20_u8).map(char::from).chain(['\u{7f}']).collect();
        let long = "x".repeat(MIB);
        let texts = [
            controls.as_str(),
            "line one\nline two\r\n\tline three",
            "\u{85}\u{2028}\u{2029}\u{feff}\u{202e}\u{10ffff}",
            "\u{1b}[31mred\u{1b}[0m",
            r#"{"looks":"like JSON"}"#,
            "\"quotes\" and \\ backslashes \\n",
            "%s %n ${jndi:ldap://example.com} ' OR 1=1 --",
            "<b>&amp;</b>",
            &long,
        ];
        let mut records: Vec<_> = texts.iter().map(|text| self.next(text)).collect();
        let names = [
            "",
            " ",
            "a b",
            "a=b",
            "a\nb",
            "\"",
            "a.b.c",
            "\u{e9}",
            "id",
            "body",
            "timestamp",
            "epoch",
        ];
        let mut odd_names = self.next("odd names");
        let value = || Value::Text("v".into());
        odd_names.attributes = names
            .map(|name| attribute(name, value()))
            .into_iter()
            .collect();
        records.push(odd_names);
        let mut many = self.next("many attributes");
        let names = (0..1000).map(|number| (format!("name{number}").into(), value()));
        many.attributes = names.collect();
        records.push(many);
        let mut long_ago = self.next("times");
        (long_ago.timestamp, long_ago.observed) = (0, u64::MAX);
        records.push(long_ago);
        records.into()
    }

    /// Records that are only a text of 100 bytes.
    pub(super) fn plain(&mut self, count: usize) -> Records {
        let text = Text::from("y".repeat(100 - MARK_BYTES - 1));
        let made = (0..count).map(|_| LogRecord {
            attributes: Vec::new().into(),
            severity: Severity::Info,
            ..self.next(&text)
        });
        made.collect::<Vec<_>>().into()
    }

    /// Gives records from elsewhere ids.
    pub(super) fn adopt(&mut self, records: &[LogRecord]) -> Records {
        let adopted = records.iter().map(|record| LogRecord {
            id: RecordId {
                epoch: 1,
                sequence: self.following(),
            },
            ..record.clone()
        });
        adopted.collect::<Vec<_>>().into()
    }

    const fn following(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// The mark of the record with this number.
fn mark(number: u64) -> String {
    format!("{MARK}{number:010}")
}

/// The mark of a record, if it has one.
pub(super) fn mark_of(record: &LogRecord) -> Option<&str> {
    record
        .body
        .starts_with(MARK)
        .then(|| record.body.get(..MARK_BYTES))?
}

fn attribute(name: &'static str, value: Value) -> (Text, Value) {
    (Text::from_static(name), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_an_id_of_its_own() {
        let mut samples = Samples::default();
        let all = [
            samples.ordinary(10),
            samples.empty_texts(),
            samples.values(),
            samples.strange(),
            samples.plain(10),
        ];
        let ids = all.iter().flat_map(|records| records.iter().map(|r| r.id));
        let ids: Vec<_> = ids.collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), different.len());
    }

    #[test]
    fn ordinary_records_can_be_told_apart() {
        let records = Samples::default().ordinary(3);
        let marks: Vec<_> = records.iter().filter_map(mark_of).collect();
        assert_eq!(
            marks,
            ["slchk0000000001", "slchk0000000002", "slchk0000000003"]
        );
    }

    #[test]
    fn plain_records_have_a_hundred_bytes() {
        let records = Samples::default().plain(2);
        assert!(records.iter().all(|record| record.body.len() == 100));
    }
}
