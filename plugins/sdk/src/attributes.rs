//! The attributes of each record.

use crate::Value;
use crate::bindings::sluice::sink::types as wit;

/// The attributes of all records of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes(wit::Attributes);

impl Attributes {
    pub(crate) const fn of(attributes: wit::Attributes) -> Self {
        Self(attributes)
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.offsets.len().saturating_sub(1)
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each name that occurs in the batch, once.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// The names and values of record `index`, in its order. Empty if there is no
    /// such record.
    pub fn of_record(&self, index: usize) -> impl Iterator<Item = (&str, &Value)> {
        let (name_of, values) = self.part(index);
        name_of.iter().zip(values).map(|(number, value)| {
            let name = self.0.names.get(*number as usize);
            (name.map_or("", String::as_str), value)
        })
    }

    /// The value that record `index` has under this name.
    #[must_use]
    pub fn get(&self, index: usize, name: &str) -> Option<&Value> {
        self.of_record(index)
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The attributes of each record in turn.
    pub fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, &Value)>> {
        (0..self.len()).map(|index| self.of_record(index))
    }

    fn part(&self, index: usize) -> (&[u32], &[Value]) {
        let (start, end) = match self.0.offsets.get(index..) {
            Some([start, end, ..]) => (*start as usize, *end as usize),
            _ => (0, 0),
        };
        let name_of = self.0.name_of.get(start..end).unwrap_or_default();
        let values = self.0.values.get(start..end).unwrap_or_default();
        (name_of, values)
    }
}
