//! A dead letter as people read it: with plain values instead of the forms that
//! lose nothing.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use sluice_delivery::{Cause, Letter};
use sluice_types::plugin::Identity;
use sluice_types::record_document::{RecordDocument, SeverityDocument, ValueDocument};

/// A dead letter.
#[derive(Debug, Serialize)]
pub(super) struct LetterView {
    id: String,
    time: String,
    cause: Cause,
    reason: String,
    plugin: Identity,
    record: RecordView,
}

#[derive(Debug, Serialize)]
struct RecordView {
    /// In RFC 3339.
    timestamp: String,
    observed: String,
    severity: Option<SeverityDocument>,
    /// The producer's own id.
    key: Option<String>,
    body: String,
    attributes: Map<String, Value>,
}

impl From<Letter> for LetterView {
    fn from(letter: Letter) -> Self {
        Self {
            id: letter.id,
            time: letter.time,
            cause: letter.cause,
            reason: letter.reason,
            plugin: letter.plugin,
            record: letter.record.into(),
        }
    }
}

impl From<RecordDocument> for RecordView {
    fn from(record: RecordDocument) -> Self {
        let attributes = record.attributes.into_iter();
        Self {
            timestamp: rfc3339(record.timestamp),
            observed: rfc3339(record.observed),
            severity: record.severity,
            key: record.key,
            body: record.body,
            attributes: attributes
                .map(|(name, value)| (name, plain(value)))
                .collect(),
        }
    }
}

fn plain(value: ValueDocument) -> Value {
    match value {
        ValueDocument::Text(text) => text.into(),
        // JavaScript has no such numbers above 2^53.
        ValueDocument::Integer(number) if number.unsigned_abs() > 1 << 53 => {
            number.to_string().into()
        }
        ValueDocument::Integer(number) => number.into(),
        ValueDocument::Float(bits) => {
            let number = f64::from_bits(bits);
            serde_json::Number::from_f64(number)
                .map_or_else(|| number.to_string().into(), Value::Number)
        }
        ValueDocument::Boolean(is_so) => is_so.into(),
        ValueDocument::Bytes(bytes) => serde_json::to_value(bytes).unwrap_or_default(),
        ValueDocument::Json(json) => serde_json::from_str(&json).unwrap_or(Value::String(json)),
    }
}

/// Nanoseconds since the Unix epoch; empty for none.
fn rfc3339(nanos: u64) -> String {
    if nanos == 0 {
        return String::new();
    }
    let time = Timestamp::from_nanosecond(i128::from(nanos));
    time.map(|time| format!("{time:.6}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_plain() {
        for (value, expected) in [
            (ValueDocument::Text("a".to_owned()), json!("a")),
            (ValueDocument::Integer(-7), json!(-7)),
            (
                ValueDocument::Integer(i64::MAX),
                json!("9223372036854775807"),
            ),
            (
                ValueDocument::Integer(i64::MIN),
                json!("-9223372036854775808"),
            ),
            (ValueDocument::Float(1.5_f64.to_bits()), json!(1.5)),
            (ValueDocument::Float(f64::INFINITY.to_bits()), json!("inf")),
            (ValueDocument::Boolean(true), json!(true)),
            (
                ValueDocument::Json("{\"a\":[1]}".to_owned()),
                json!({"a": [1]}),
            ),
            (ValueDocument::Json("{".to_owned()), json!("{")),
        ] {
            assert_eq!(plain(value), expected);
        }
        assert_eq!(
            rfc3339(1_500_000_000_123_456_789),
            "2017-07-14T02:40:00.123456Z"
        );
        assert_eq!(rfc3339(0), "");
    }
}
