//! A log record as plain data, on its way from a request to the sink.

use std::collections::HashMap;

/// Text that may share its memory with the request body it came from.
pub type Text = bytestring::ByteString;

/// What a record counts in addition to its texts, in bytes: about the size of
/// the structure itself with its bookkeeping.
const OVERHEAD: usize = 256;

/// Names a record, the same in every attempt to deliver it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The epoch of the leader that accepted it.
    pub epoch: u64,
    /// Counts the records that this leader accepted, from 1.
    pub sequence: u64,
}

/// OpenTelemetry's six severity ranges, and none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The producer gave none.
    #[default]
    Unspecified,
    /// Severity numbers 1 to 4.
    Trace,
    /// Severity numbers 5 to 8.
    Debug,
    /// Severity numbers 9 to 12.
    Info,
    /// Severity numbers 13 to 16.
    Warn,
    /// Severity numbers 17 to 20.
    Error,
    /// Severity numbers 21 to 24.
    Fatal,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes that are not text.
    Bytes(bytes::Bytes),
    /// An object, an array, null, or a number beyond the types above, as JSON.
    Json(Text),
}

/// One log record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRecord {
    /// Assigned when the queue takes the record.
    pub id: RecordId,
    /// The producer's own id.
    pub key: Option<Text>,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// When the node accepted it, in nanoseconds since the Unix epoch.
    pub observed: u64,
    /// How severe it is.
    pub severity: Severity,
    /// The text.
    pub body: Text,
    /// Everything else, each name once.
    pub attributes: Vec<(Text, Value)>,
}

impl LogRecord {
    /// A record with only a text, whose time is when it was observed.
    #[must_use]
    pub fn with_body(body: Text, observed: u64) -> Self {
        Self {
            timestamp: observed,
            observed,
            body,
            ..Self::default()
        }
    }

    /// Gives the record this id, unless it has one: a record from another
    /// node's journal or from the dead letters keeps its own. Returns whether
    /// the id was taken.
    pub fn assign_id(&mut self, id: RecordId) -> bool {
        let is_new = self.id == RecordId::default();
        if is_new {
            self.id = id;
        }
        is_new
    }

    /// What it counts in the limits on memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| 64 + name.len() + value.size())
            .sum();
        OVERHEAD + self.body.len() + self.key.as_ref().map_or(0, |key| key.len()) + attributes
    }
}

/// Keeps only the last value of each name, in the place of its first.
pub fn keep_last_of_repeated(attributes: &mut Vec<(Text, Value)>) {
    let mut places: HashMap<Text, usize> = HashMap::with_capacity(attributes.len());
    let mut kept: Vec<(Text, Value)> = Vec::with_capacity(attributes.len());
    for (name, value) in attributes.drain(..) {
        match places.get(&name).and_then(|at| kept.get_mut(*at)) {
            Some((_, earlier)) => *earlier = value,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    *attributes = kept;
}

impl Value {
    fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_attributes_the_last_value_stays_at_the_first_place() {
        let attribute =
            |name: &'static str, value| (Text::from_static(name), Value::Integer(value));
        let mut attributes = vec![attribute("a", 1), attribute("b", 2), attribute("a", 3)];
        keep_last_of_repeated(&mut attributes);
        assert_eq!(attributes, [attribute("a", 3), attribute("b", 2)]);
    }
}
