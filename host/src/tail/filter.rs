//! Which records a client wants to see.

use memchr::memmem::Finder;

use crate::peer::TailRequest;
use sluice_types::record::{LogRecord, Severity, Value};

/// The conditions of a client. All of them must hold.
#[derive(Debug)]
pub(super) struct Filter {
    text: Option<Finder<'static>>,
    severity: Option<Severity>,
    attributes: Vec<(String, String)>,
}

impl Filter {
    pub(super) fn new(request: &TailRequest) -> Self {
        let text = request.filter.as_deref().filter(|text| !text.is_empty());
        Self {
            text: text.map(|text| Finder::new(text).into_owned()),
            severity: request.severity.map(|least| least.severity()),
            attributes: request.attributes.clone(),
        }
    }

    pub(super) fn admits(&self, record: &LogRecord) -> bool {
        // What costs least comes first.
        self.severity
            .is_none_or(|least| record.severity as u8 >= least as u8)
            && self
                .text
                .as_ref()
                .is_none_or(|text| text.find(record.body.as_bytes()).is_some())
            && self
                .attributes
                .iter()
                .all(|(name, value)| has(record, name, value))
    }
}

/// Whether the record has this attribute with this value.
fn has(record: &LogRecord, name: &str, wanted: &str) -> bool {
    let mut attributes = record.attributes.iter();
    let found = attributes.find(|(found, _)| *found == name);
    found.is_some_and(|(_, value)| match value {
        Value::Text(text) | Value::Json(text) => *text == wanted,
        Value::Integer(integer) => wanted.parse() == Ok(*integer),
        Value::Float(float) => wanted.parse() == Ok(*float),
        Value::Boolean(boolean) => wanted.parse() == Ok(*boolean),
        Value::Bytes(bytes) => bytes == wanted.as_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::Text;
    use sluice_types::record_document::SeverityDocument;

    fn record() -> LogRecord {
        let attribute = |name, value| (Text::from_static(name), value);
        LogRecord {
            severity: Severity::Warn,
            attributes: vec![
                attribute("host", Value::Text(Text::from_static("web-1"))),
                attribute("status", Value::Integer(503)),
                attribute("ok", Value::Boolean(false)),
                attribute("load", Value::Float(0.5)),
            ]
            .into(),
            ..LogRecord::with_body(Text::from_static("Disk is full"), 0)
        }
    }

    fn admits(change: impl FnOnce(&mut TailRequest)) -> bool {
        let mut request = TailRequest::default();
        change(&mut request);
        Filter::new(&request).admits(&record())
    }

    fn has_all(attributes: &[(&str, &str)]) -> bool {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        admits(|request| request.attributes = attributes.iter().map(owned).collect())
    }

    #[test]
    fn a_text_is_found_as_it_is_written() {
        assert!(admits(|_| {}));
        for (text, is_found) in [("", true), ("is f", true), ("disk", false), ("503", false)] {
            let found = admits(|request| request.filter = Some(text.to_owned()));
            assert_eq!(found, is_found, "{text}");
        }
    }

    #[test]
    fn a_severity_admits_what_is_at_least_as_severe() {
        for (least, is_admitted) in [
            (SeverityDocument::Trace, true),
            (SeverityDocument::Warn, true),
            (SeverityDocument::Error, false),
        ] {
            let admitted = admits(|request| request.severity = Some(least));
            assert_eq!(admitted, is_admitted, "{least:?}");
        }
        let request = TailRequest {
            severity: Some(SeverityDocument::Trace),
            ..TailRequest::default()
        };
        let plain = LogRecord::with_body(Text::new(), 0);
        assert!(!Filter::new(&request).admits(&plain), "it has none");
    }

    #[test]
    fn all_attributes_must_be_there_with_their_whole_values() {
        assert!(has_all(&[("host", "web-1"), ("status", "503")]));
        assert!(has_all(&[("ok", "false"), ("load", "0.50")]));
        assert!(!has_all(&[("host", "web-1"), ("status", "50")]));
        assert!(!has_all(&[("host", "web")]));
        assert!(!has_all(&[("hos", "web-1")]));
        assert!(!has_all(&[("status", "")]));
    }
}
