//! `ExportLogsServiceResponse`: what a collector says about the records.

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::Answer;

use crate::wire::{Field, fields};

/// What the collector says about a request that it took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// How many records it refused.
    pub(crate) rejected: u64,
    /// Why, or a warning.
    pub(crate) message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct PartialSuccess {
    rejected_log_records: Count,
    error_message: String,
}

/// 64 bits are a text in protobuf's JSON, but not everybody knows.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

impl Default for Count {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Said {
    /// Reads the answer to a request that was taken.
    ///
    /// # Errors
    /// It is no answer of OTLP, so what became of the records is unknown.
    pub(crate) fn read(answer: &Answer) -> Result<Self, Failure> {
        if answer.body.is_empty() {
            return Ok(Self::default());
        }
        let content_type = answer.header("content-type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let said = match content_type {
            "application/x-protobuf" | "application/protobuf" => of_protobuf(&answer.body),
            "application/json" => of_json(&answer.body),
            _ => None,
        };
        said.ok_or_else(|| {
            let answered = answer.describe();
            Failure::retryable(format!(
                "{answered} ({content_type:?}, which is no answer of OTLP; is the URL right?)"
            ))
        })
    }

    /// The places of the refused records in a request of so many, if the message
    /// names them all, and why each was refused. Sluice's does: `2 of 5 records
    /// refused: record 1: too late; record 3: too long`.
    pub(crate) fn places(&self, records: usize) -> Option<Vec<(usize, &str)>> {
        let rejected = self.rejected;
        let start = format!("{rejected} of {records} records refused: record ");
        let named = self.message.strip_prefix(&start)?;
        let mut places: Vec<(usize, &str)> = Vec::new();
        for part in named.split("; record ") {
            let (place, reason) = part.split_once(": ")?;
            let place = place.parse().ok().filter(|place| *place < records)?;
            let follows = places.last().is_none_or(|(last, _)| *last < place);
            follows.then(|| places.push((place, reason)))?;
        }
        // A reason may look like the name of a record: then there are too many.
        (u64::try_from(places.len()).ok()? == rejected).then_some(places)
    }
}

fn of_protobuf(body: &[u8]) -> Option<Said> {
    let mut said = Said::default();
    for field in fields(body) {
        if let (1, Field::Bytes(partial)) = field? {
            for field in fields(partial) {
                match field? {
                    (1, Field::Number(rejected)) => said.rejected = rejected,
                    (2, Field::Bytes(text)) => {
                        said.message = String::from_utf8_lossy(text).into_owned();
                    }
                    _ => {}
                }
            }
        }
    }
    // A negative number of records is none.
    i64::try_from(said.rejected).ok()?;
    Some(said)
}

fn of_json(body: &[u8]) -> Option<Said> {
    let response: Response = serde_json::from_slice(body).ok()?;
    let partial = response.partial_success.unwrap_or_default();
    let rejected = match partial.rejected_log_records {
        Count::Number(number) => number,
        Count::Text(text) => text.parse().ok()?,
    };
    Some(Said {
        rejected,
        message: partial.error_message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_named_are_found() {
        let said = |rejected, message: &str| Said {
            rejected,
            message: message.to_owned(),
        };
        let named = said(2, "2 of 5 records refused: record 1: a: b; c; record 3: d");
        assert_eq!(named.places(5), Some(vec![(1, "a: b; c"), (3, "d")]));
        for unknown in [
            said(2, ""),
            said(2, "2 of 5 records refused"),
            said(2, "2 of 6 records refused: record 1: a; record 3: d"),
            said(2, "2 of 5 records refused: record 1: a; record 5: d"),
            said(2, "2 of 5 records refused: record 3: a; record 1: d"),
            said(
                2,
                "2 of 5 records refused: record 1: a; record 2: b; record 3: d",
            ),
            said(4, "4 of 5 records refused: record 1: a; and 3 more"),
        ] {
            assert_eq!(unknown.places(5), None, "{unknown:?}");
        }
    }

    #[test]
    fn both_forms_can_be_read() {
        let none = Some(Said::default());
        let two = Some(Said {
            rejected: 2,
            message: "no".to_owned(),
        });
        assert_eq!(of_json(b"{}"), none);
        assert_eq!(of_json(br#"{"partialSuccess": null}"#), none);
        let text = br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}"#;
        assert_eq!(of_json(text), two);
        let number = br#"{"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"no"}}"#;
        assert_eq!(of_json(number), two);
        assert_eq!(of_json(b"ok"), None);
        assert_eq!(
            of_json(br#"{"partialSuccess":{"rejectedLogRecords":"x"}}"#),
            None
        );
        assert_eq!(of_protobuf(b""), none);
        assert_eq!(of_protobuf(b"\x0a\x06\x08\x02\x12\x02no"), two);
        assert_eq!(of_protobuf(b"\x0a\x06\x08\x02\x12\x02n"), None);
        assert_eq!(of_protobuf(b"<html>"), None);
    }
}
