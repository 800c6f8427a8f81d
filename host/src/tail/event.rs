//! What a client is told, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use sluice_delivery::Passed;
use sluice_types::record::LogRecord;
use sluice_types::record::Value as Attribute;
use sluice_types::record_document::SeverityDocument;

/// The names of the events.
pub(crate) const RECORD: &str = "record";
pub(crate) const SKIPPED: &str = "skipped";
pub(crate) const LEADER: &str = "leader";
pub(crate) const END: &str = "end";

/// The most bytes of a record's texts that are shown.
const TEXT_BYTES_MAX: usize = 4096;
/// How many of these the body gets if it is long and there are attributes.
const BODY_SHARE: usize = TEXT_BYTES_MAX / 2;
/// What an attribute counts in addition to its texts.
const ATTRIBUTE_BYTES: usize = 16;

/// A record, and what became of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordEvent {
    /// Its epoch and sequence, as in the id of a dead letter.
    pub(crate) id: String,
    /// The producer's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) outcome: Fate,
    /// Why, unless it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// From its receipt to this outcome, in microseconds.
    pub(crate) latency_us: u64,
    /// When it happened, in RFC 3339.
    pub(crate) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) severity: Option<SeverityDocument>,
    pub(crate) body: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) attributes: Map<String, Value>,
    /// Whether not all of it is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Delivered,
    /// It is offered again.
    Retried,
    Refused,
    DeadLetter,
    Unknown,
}

/// Records that were not shown since the last such event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct SkippedEvent {
    /// All of them.
    pub(crate) records: u64,
    /// How many of these were not looked at, so that some may not match the filter.
    pub(crate) unfiltered: u64,
}

/// Whose records are shown from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct LeaderEvent {
    /// The leader's name; `None` if no leader is known.
    pub(crate) leader: Option<String>,
    /// Why its records cannot be seen at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Why nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EndEvent {
    pub(crate) reason: &'static str,
}

impl Fate {
    /// With the reason, if it has one.
    fn of(fate: &sluice_delivery::Fate) -> (Self, Option<&str>) {
        use sluice_delivery::Fate as Of;
        match fate {
            Of::Delivered => (Self::Delivered, None),
            Of::Retried(reason) => (Self::Retried, Some(reason)),
            Of::Refused(reason) => (Self::Refused, Some(reason)),
            Of::DeadLetter(reason) => (Self::DeadLetter, Some(reason)),
            Of::Unknown(reason) => (Self::Unknown, Some(reason)),
        }
    }
}

impl RecordEvent {
    /// For one of the records that passed.
    pub(super) fn of(record: &LogRecord, passed: &Passed) -> Self {
        let (outcome, reason) = Fate::of(&passed.fate);
        let mut room = Room {
            left: TEXT_BYTES_MAX - record.body.len().min(BODY_SHARE),
            is_cut: false,
        };
        let key = record.key.as_ref().map(|key| room.text(key));
        let attributes = room.attributes(record);
        room.left += record.body.len().min(BODY_SHARE);
        Self {
            id: format!("{}-{}", record.id.epoch, record.id.sequence),
            key,
            outcome,
            reason: reason.map(str::to_owned),
            latency_us: passed.at.saturating_sub(record.observed) / 1000,
            time: rfc3339(record.timestamp),
            severity: SeverityDocument::of(record.severity),
            body: room.text(&record.body),
            attributes,
            cut: room.is_cut,
        }
    }
}

/// What may still be shown of a record.
struct Room {
    /// In bytes.
    left: usize,
    is_cut: bool,
}

impl Room {
    /// As much of the text as there is room for.
    fn text(&mut self, text: &str) -> String {
        let end = text.floor_char_boundary(self.left);
        let (shown, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        self.is_cut |= !rest.is_empty();
        self.left -= shown.len();
        shown.to_owned()
    }

    fn attributes(&mut self, record: &LogRecord) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, value) in &record.attributes {
            let Some(left) = self.left.checked_sub(name.len() + ATTRIBUTE_BYTES) else {
                self.is_cut = true;
                break;
            };
            self.left = left;
            shown.insert(name.to_string(), self.value(value));
        }
        shown
    }

    fn value(&mut self, value: &Attribute) -> Value {
        match value {
            Attribute::Text(text) => self.text(text).into(),
            Attribute::Integer(integer) => (*integer).into(),
            // JSON has no other ones.
            Attribute::Float(float) if float.is_finite() => (*float).into(),
            Attribute::Float(float) => float.to_string().into(),
            Attribute::Boolean(boolean) => (*boolean).into(),
            Attribute::Bytes(bytes) => {
                let shown = bytes.len().min(self.left / 4 * 3);
                self.is_cut |= shown < bytes.len();
                let text = STANDARD.encode(bytes.slice(..shown));
                self.left -= text.len().min(self.left);
                text.into()
            }
            Attribute::Json(json) => {
                let text = self.text(json);
                match text.len() == json.len() {
                    true => serde_json::from_str(&text).unwrap_or(Value::String(text)),
                    false => text.into(),
                }
            }
        }
    }
}

/// Nanoseconds since the Unix epoch in RFC 3339, to the microsecond.
fn rfc3339(nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::{RecordId, Severity, Text};
    use std::sync::Arc;

    fn passed(record: &LogRecord) -> Passed {
        Passed {
            records: vec![record.clone()].into(),
            fate: sluice_delivery::Fate::Retried(Arc::from("busy")),
            at: 5_000_000,
            bytes: record.size(),
        }
    }

    fn event(record: &LogRecord) -> RecordEvent {
        RecordEvent::of(record, &passed(record))
    }

    fn attribute(name: &'static str, value: Attribute) -> (Text, Attribute) {
        (Text::from_static(name), value)
    }

    #[test]
    fn a_record_is_shown_with_its_outcome_as_plain_json() {
        let record = LogRecord {
            id: RecordId {
                epoch: 7,
                sequence: 12,
            },
            key: Some(Text::from_static("k")),
            timestamp: 1_500_000_000_123_456_789,
            observed: 1_000_000,
            severity: Severity::Warn,
            body: Text::from_static("a \"text\"\n"),
            attributes: vec![
                attribute("t", Attribute::Text(Text::from_static("x"))),
                attribute("i", Attribute::Integer(-1)),
                attribute("f", Attribute::Float(1.5)),
                attribute("n", Attribute::Float(f64::NAN)),
                attribute("b", Attribute::Boolean(true)),
                attribute("y", Attribute::Bytes(vec![0, 255].into())),
                attribute("j", Attribute::Json(Text::from_static("{\"a\":\n[1]}"))),
            ]
            .into(),
        };
        let shown = event(&record);
        let json = serde_json::to_string(&shown).unwrap();
        let expected = r#"{"id":"7-12","key":"k","outcome":"retried","reason":"busy","latency_us":4000,"time":"2017-07-14T02:40:00.123456Z","severity":"warn","body":"a \"text\"\n","attributes":{"b":true,"f":1.5,"i":-1,"j":{"a":[1]},"n":"NaN","t":"x","y":"AP8="}}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<RecordEvent>(&json).unwrap(), shown);
    }

    #[test]
    fn a_large_record_is_cut_to_its_room_and_says_so() {
        let long = Text::from("é".repeat(4000));
        let only_body = event(&LogRecord::with_body(long.clone(), 0));
        assert_eq!((only_body.body.len(), only_body.cut), (4096, true));
        let short = event(&LogRecord::with_body(Text::from("x".repeat(4096)), 0));
        assert_eq!((short.body.len(), short.cut), (4096, false));
        let values = [
            Attribute::Text(long.clone()),
            Attribute::Bytes(vec![7; 10_000].into()),
            Attribute::Json(Text::from(format!("[{}1]", "1,".repeat(4000)))),
        ];
        for value in values {
            let record = LogRecord {
                attributes: vec![attribute("a", value), attribute("b", Attribute::Integer(1))]
                    .into(),
                ..LogRecord::with_body(long.clone(), 0)
            };
            let shown = event(&record);
            let json = serde_json::to_string(&shown).unwrap();
            assert!(shown.cut && json.len() < 5000, "{}", json.len());
            assert!(shown.body.len() >= BODY_SHARE - 1);
            assert!(shown.attributes["a"].as_str().unwrap().len() > 1900);
            assert!(!shown.attributes.contains_key("b"));
        }
    }
}
