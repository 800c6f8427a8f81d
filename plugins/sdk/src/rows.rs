//! The records of a batch one after another, from its columns.

use std::cell::OnceCell;

use crate::{Attributes, Batch, RecordId, Severity, Texts, Value};

/// The records of a batch, in columns that are asked for when a field is first
/// used: a sink pays for what it looks at.
///
/// ```
/// # use sluice_sink::testing::{batch, record};
/// use sluice_sink::Severity;
///
/// # let batch = batch([record("disk full").severity(Severity::Error)]);
/// for row in &batch.rows() {
///     if row.severity() >= Severity::Warn {
///         println!("{}: {}", row.index(), row.body());
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Rows<'a> {
    batch: &'a Batch,
    len: usize,
    ids: OnceCell<Vec<RecordId>>,
    keys: OnceCell<Texts>,
    timestamps: OnceCell<Vec<u64>>,
    observed: OnceCell<Vec<u64>>,
    severities: OnceCell<Vec<Severity>>,
    bodies: OnceCell<Texts>,
    attributes: OnceCell<Attributes>,
}

impl Batch {
    /// The records one after another, with the fields that are used.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            batch: self,
            len: self.len(),
            ids: OnceCell::new(),
            keys: OnceCell::new(),
            timestamps: OnceCell::new(),
            observed: OnceCell::new(),
            severities: OnceCell::new(),
            bodies: OnceCell::new(),
            attributes: OnceCell::new(),
        }
    }
}

impl Rows<'_> {
    /// The number of records.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The record at `index`. Beyond the last one, its fields are empty.
    #[must_use]
    pub const fn get(&self, index: usize) -> Row<'_> {
        Row { rows: self, index }
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len).map(|index| self.get(index))
    }

    fn attributes(&self) -> &Attributes {
        self.attributes.get_or_init(|| self.batch.attributes())
    }
}

impl<'r> IntoIterator for &'r Rows<'_> {
    type Item = Row<'r>;
    type IntoIter = Iter<'r>;

    fn into_iter(self) -> Iter<'r> {
        Iter {
            rows: self,
            indices: 0..self.len,
        }
    }
}

/// Goes through [`Rows`].
#[derive(Debug)]
pub struct Iter<'r> {
    rows: &'r Rows<'r>,
    indices: std::ops::Range<usize>,
}

impl<'r> Iterator for Iter<'r> {
    type Item = Row<'r>;

    fn next(&mut self) -> Option<Row<'r>> {
        self.indices.next().map(|index| self.rows.get(index))
    }
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    rows: &'r Rows<'r>,
    index: usize,
}

impl<'r> Row<'r> {
    /// The record's place in the batch, for refusals.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index
    }

    /// What names the record for good, on every attempt.
    #[must_use]
    pub fn id(self) -> RecordId {
        let ids = self.rows.ids.get_or_init(|| self.rows.batch.ids());
        let none = RecordId {
            epoch: 0,
            sequence: 0,
        };
        ids.get(self.index).copied().unwrap_or(none)
    }

    /// The producer's own id of the record, if it gave one.
    #[must_use]
    pub fn key(self) -> Option<&'r str> {
        let keys = self.rows.keys.get_or_init(|| self.rows.batch.keys());
        Some(keys.get(self.index)).filter(|key| !key.is_empty())
    }

    /// When the event happened, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(self) -> u64 {
        let rows = self.rows;
        let all = rows.timestamps.get_or_init(|| rows.batch.timestamps());
        all.get(self.index).copied().unwrap_or_default()
    }

    /// When the node accepted the record, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn observed(self) -> u64 {
        let rows = self.rows;
        let all = rows.observed.get_or_init(|| rows.batch.observed());
        all.get(self.index).copied().unwrap_or_default()
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        let rows = self.rows;
        let all = rows.severities.get_or_init(|| rows.batch.severities());
        let found = all.get(self.index).copied();
        found.unwrap_or(Severity::Unspecified)
    }

    /// The text of the message.
    #[must_use]
    pub fn body(self) -> &'r str {
        let bodies = self.rows.bodies.get_or_init(|| self.rows.batch.bodies());
        bodies.get(self.index)
    }

    /// Everything else that the producer said, in its order.
    pub fn attributes(self) -> impl Iterator<Item = (&'r str, &'r Value)> {
        self.rows.attributes().of_record(self.index)
    }

    /// The attribute of this name.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'r Value> {
        self.rows.attributes().get(self.index, name)
    }
}
