//! A log record as plain data, on its way from a request to the sink.

use std::collections::HashMap;

use crate::attributes::Attributes;
pub use crate::value::{Text, Value};

/// What the structure of a record takes, in bytes: twice its 144 bytes, because
/// a list of records grows by doubling.
const RECORD_BYTES: usize = 288;
/// What the structures of an attribute take, in bytes: 72 for name and value in
/// the list, and the bookkeeping of two texts that share no memory.
const ATTRIBUTE_BYTES: usize = 128;

/// What a record with this many attributes takes in memory in addition to its
/// texts, in bytes.
///
/// This is the only such figure. The budget for requests, the limits of the
/// queue, and what is read back from the journal all count with it.
#[must_use]
pub const fn overhead(attributes: usize) -> usize {
    RECORD_BYTES.saturating_add(attributes.saturating_mul(ATTRIBUTE_BYTES))
}

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

impl Severity {
    /// All of them, in growing order.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Fatal,
    ];
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
    pub attributes: Attributes,
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

    /// What it counts in the limits on memory, in bytes: its texts and the
    /// [`overhead`].
    #[must_use]
    pub fn size(&self) -> usize {
        overhead(self.attributes.len()) + self.text_bytes()
    }

    /// The length of all its texts, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        self.body.len() + key + self.attributes.text_bytes()
    }

    /// Copies the texts into memory of their own, so that they no longer keep
    /// the request body that they came from.
    pub fn detach(&mut self) {
        let mut all = String::with_capacity(self.text_bytes());
        self.for_each_text(|text| all.push_str(text));
        let mut rest = Text::from(all);
        self.for_each_text(|text| (*text, rest) = rest.split_at(text.len()));
        for (_, value) in self.attributes.own_mut() {
            if let Value::Bytes(bytes) = value {
                *bytes = bytes::Bytes::copy_from_slice(bytes);
            }
        }
    }

    /// Always in the same order.
    fn for_each_text(&mut self, mut f: impl FnMut(&mut Text)) {
        f(&mut self.body);
        self.key.iter_mut().for_each(&mut f);
        for (name, value) in self.attributes.own_mut() {
            f(name);
            if let Value::Text(text) | Value::Json(text) = value {
                f(text);
            }
        }
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

    #[test]
    fn the_overhead_covers_the_structures() {
        // What a text that is shared for the first time allocates besides.
        const SHARING_BYTES: usize = 24;
        assert!(RECORD_BYTES >= 2 * size_of::<LogRecord>());
        assert!(ATTRIBUTE_BYTES >= size_of::<(Text, Value)>() + 2 * SHARING_BYTES);
        assert_eq!(overhead(3), RECORD_BYTES + 3 * ATTRIBUTE_BYTES);
    }

    #[test]
    fn a_detached_record_is_the_same_in_other_memory() {
        let whole = Text::from("a text, \u{e9}, and much around it".repeat(100));
        let part = whole.slice_ref(&whole[8..12]);
        let mut record = LogRecord {
            key: Some(part.clone()),
            attributes: vec![
                (part.clone(), Value::Text(part.clone())),
                (part.clone(), Value::Json(part.clone())),
                (part.clone(), Value::Bytes(part.clone().into_bytes())),
                (part.clone(), Value::Integer(1)),
            ]
            .into(),
            ..LogRecord::with_body(part.clone(), 7)
        };
        let before = record.clone();
        record.detach();
        assert_eq!(record, before);
        let range = whole.as_bytes().as_ptr_range();
        record.for_each_text(|text| assert!(!range.contains(&text.as_bytes().as_ptr())));
        assert_eq!(record.size(), overhead(4) + record.text_bytes());
    }
}
