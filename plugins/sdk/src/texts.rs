//! A text of each record.

use crate::bindings::sluice::sink::types as wit;

/// One text per record, all in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
    /// Text `i` is between offsets `i` and `i + 1`.
    offsets: Vec<u32>,
}

impl Texts {
    pub(crate) fn of(texts: wit::Texts) -> Self {
        let wit::Texts { bytes, offsets } = texts;
        // The host promises UTF-8, so nothing is copied.
        let all = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Self { all, offsets }
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of record `index`, or an empty one if there is no such record.
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        let bounds = self.offsets.get(index..).unwrap_or_default();
        match bounds {
            [start, end, ..] => self.between(*start, *end),
            _ => "",
        }
    }

    /// The texts in the order of the records.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.offsets.windows(2).map(|bounds| match bounds {
            [start, end] => self.between(*start, *end),
            _ => "",
        })
    }

    fn between(&self, start: u32, end: u32) -> &str {
        self.all.get(start as usize..end as usize).unwrap_or("")
    }
}
