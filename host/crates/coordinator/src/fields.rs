//! JSON bodies as Go reads them: the case of field names does not matter, and
//! errors are in Go's words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::duration;

/// Why a body cannot be decoded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct DecodeError(String);

impl DecodeError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn kind(value: &Value, field: &str, wanted: &str) -> Self {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let field = match field {
            "" => "value".to_owned(),
            field => format!("struct field .{field}"),
        };
        Self(format!(
            "json: cannot unmarshal {kind} into Go {field} of type {wanted}"
        ))
    }
}

pub(super) fn json(body: &[u8]) -> Result<Value, DecodeError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(DecodeError::new("EOF"));
    }
    serde_json::from_slice(body).map_err(|error| DecodeError(error.to_string()))
}

/// A list of any values; null is an empty one. `wanted` is Go's type, for the
/// error.
pub(super) fn array(value: Value, field: &str, wanted: &str) -> Result<Vec<Value>, DecodeError> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Null => Ok(Vec::new()),
        other => Err(DecodeError::kind(&other, field, wanted)),
    }
}

/// A list of texts; null is an empty one.
pub(super) fn texts(value: Value, field: &str) -> Result<Vec<String>, DecodeError> {
    let values = array(value, field, "[]string")?.into_iter();
    let texts = values.map(|value| match value {
        Value::String(text) => Ok(text),
        other => Err(DecodeError::kind(&other, field, "string")),
    });
    texts.collect()
}

/// The fields of an object. Taking a field removes it.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(super) fn of(value: Value, field: &str, wanted: &str) -> Result<Self, DecodeError> {
        match value {
            Value::Object(map) => Ok(Self(map.into_iter().collect())),
            Value::Null => Ok(Self::default()),
            other => Err(DecodeError::kind(&other, field, wanted)),
        }
    }

    /// Takes a field, which may be null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let place = self
            .0
            .iter()
            .position(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(self.0.swap_remove(place).1)
    }

    fn take_some(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, DecodeError> {
        match self.take_some(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(DecodeError::kind(&other, name, "string")),
        }
    }

    pub(super) fn unsigned(&mut self, name: &str) -> Result<u64, DecodeError> {
        match self.take_some(name) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| DecodeError::kind(&value, name, "uint64")),
        }
    }

    pub(super) fn integer(&mut self, name: &str) -> Result<i64, DecodeError> {
        match self.take_some(name) {
            None => Ok(0),
            Some(value) => value
                .as_i64()
                .ok_or_else(|| DecodeError::kind(&value, name, "int")),
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<bool, DecodeError> {
        match self.take_some(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(DecodeError::kind(&other, name, "bool")),
        }
    }

    /// Takes a list of texts; `None` if it is absent or null.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, DecodeError> {
        let Some(value) = self.take_some(name) else {
            return Ok(None);
        };
        texts(value, name).map(Some)
    }

    /// Takes a map of texts; empty if it is absent or null.
    pub(super) fn map(&mut self, name: &str) -> Result<BTreeMap<String, String>, DecodeError> {
        let value = self.take(name).unwrap_or_default();
        let fields = Self::of(value, name, "map[string]string")?;
        let texts = fields.0.into_iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            other => Err(DecodeError::kind(&other, name, "string")),
        });
        texts.collect()
    }

    /// Takes a duration, which is text or a number of nanoseconds; `None` if it
    /// is absent, null or empty.
    pub(super) fn duration(&mut self, name: &str) -> Result<Option<Duration>, DecodeError> {
        match self.take_some(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => duration::parse(&text)
                .map(Some)
                .ok_or_else(|| DecodeError(format!("time: invalid duration {text:?}"))),
            Some(value) => match value.as_u64() {
                Some(nanos) => Ok(Some(Duration::from_nanos(nanos))),
                None => Err(DecodeError::kind(&value, name, "time.Duration")),
            },
        }
    }

    /// The fields that were not taken.
    pub(super) fn into_pairs(self) -> Vec<(String, Value)> {
        self.0
    }

    /// Refuses fields that were not taken.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(DecodeError(format!("json: unknown field {name:?}"))),
        }
    }
}
