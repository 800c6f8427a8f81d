//! Records as JSON without loss: how they are kept on disk and sent from node
//! to node. Producers speak another form, see `ingest`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::{LogRecord, RecordId, Severity, Text, Value};

/// A record in its JSON form.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RecordDocument {
    /// With `sequence`, the record's id.
    pub epoch: u64,
    /// See `epoch`.
    pub sequence: u64,
    /// The producer's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// Nanoseconds since the Unix epoch.
    pub observed: u64,
    /// `None` if the producer gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityDocument>,
    /// The text.
    pub body: String,
    /// Names and values, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, ValueDocument)>,
}

/// A severity by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "as in `record::Severity`")]
pub enum SeverityDocument {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueDocument {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number, by its bits: JSON has no infinity.
    Float(u64),
    /// True or false.
    Boolean(bool),
    /// Bytes, in base64.
    Bytes(Base64),
    /// Nested data, as JSON text.
    Json(String),
}

/// Bytes that are written in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl From<&LogRecord> for RecordDocument {
    fn from(record: &LogRecord) -> Self {
        let attributes = record.attributes.iter();
        Self {
            epoch: record.id.epoch,
            sequence: record.id.sequence,
            key: record.key.as_ref().map(ToString::to_string),
            timestamp: record.timestamp,
            observed: record.observed,
            severity: SeverityDocument::of(record.severity),
            body: record.body.to_string(),
            attributes: attributes
                .map(|(name, value)| (name.to_string(), value.into()))
                .collect(),
        }
    }
}

impl From<RecordDocument> for LogRecord {
    fn from(form: RecordDocument) -> Self {
        let attributes = form.attributes.into_iter();
        Self {
            id: RecordId {
                epoch: form.epoch,
                sequence: form.sequence,
            },
            key: form.key.map(Text::from),
            timestamp: form.timestamp,
            observed: form.observed,
            severity: form
                .severity
                .map_or(Severity::Unspecified, SeverityDocument::severity),
            body: form.body.into(),
            attributes: attributes
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl From<&Value> for ValueDocument {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.to_string()),
            Value::Integer(integer) => Self::Integer(*integer),
            Value::Float(float) => Self::Float(float.to_bits()),
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Bytes(bytes) => Self::Bytes(Base64(bytes.to_vec())),
            Value::Json(json) => Self::Json(json.to_string()),
        }
    }
}

impl From<ValueDocument> for Value {
    fn from(form: ValueDocument) -> Self {
        match form {
            ValueDocument::Text(text) => Self::Text(text.into()),
            ValueDocument::Integer(integer) => Self::Integer(integer),
            ValueDocument::Float(bits) => Self::Float(f64::from_bits(bits)),
            ValueDocument::Boolean(boolean) => Self::Boolean(boolean),
            ValueDocument::Bytes(Base64(bytes)) => Self::Bytes(bytes.into()),
            ValueDocument::Json(json) => Self::Json(json.into()),
        }
    }
}

impl SeverityDocument {
    /// That of a record; `None` if the producer gave none.
    #[must_use]
    pub const fn of(severity: Severity) -> Option<Self> {
        Some(match severity {
            Severity::Unspecified => return None,
            Severity::Trace => Self::Trace,
            Severity::Debug => Self::Debug,
            Severity::Info => Self::Info,
            Severity::Warn => Self::Warn,
            Severity::Error => Self::Error,
            Severity::Fatal => Self::Fatal,
        })
    }

    /// The severity of a record.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Trace => Severity::Trace,
            Self::Debug => Severity::Debug,
            Self::Info => Severity::Info,
            Self::Warn => Severity::Warn,
            Self::Error => Severity::Error,
            Self::Fatal => Severity::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way_and_back() {
        let text = Text::from_static;
        let record = LogRecord {
            id: RecordId {
                epoch: u64::MAX,
                sequence: 7,
            },
            key: Some(text("k")),
            timestamp: u64::MAX,
            observed: 1,
            severity: Severity::Warn,
            body: text("a\n\u{2028}\"b\""),
            attributes: vec![
                (text("t"), Value::Text(text("x"))),
                (text("i"), Value::Integer(i64::MIN)),
                (text("f"), Value::Float(f64::INFINITY)),
                (text("b"), Value::Boolean(true)),
                (text("y"), Value::Bytes(vec![0, 255].into())),
                (text("j"), Value::Json(text("[1]"))),
            ]
            .into(),
        };
        let json = serde_json::to_string(&RecordDocument::from(&record)).unwrap();
        let form: RecordDocument = serde_json::from_str(&json).unwrap();
        assert_eq!(LogRecord::from(form), record);
        let plain = LogRecord::with_body(text("x"), 5);
        let json = serde_json::to_string(&RecordDocument::from(&plain)).unwrap();
        let form: RecordDocument = serde_json::from_str(&json).unwrap();
        assert_eq!(LogRecord::from(form), plain);
    }
}
