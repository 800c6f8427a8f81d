//! The host's part of a batch, for native builds.

use crate::bindings::sluice::sink::types as wit;
use crate::native_lines;
use crate::{LogRecord, RecordId, Severity};

/// Records, and the views that a host makes of them.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    records: Vec<LogRecord>,
}

impl Source {
    pub(crate) const fn new(records: Vec<LogRecord>) -> Self {
        Self { records }
    }

    pub(crate) fn len(&self) -> u32 {
        offset(self.records.len())
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.records.clone()
    }

    pub(crate) fn text_lines(&self) -> Vec<u8> {
        native_lines::text_lines(&self.records)
    }

    pub(crate) fn json_lines(&self) -> Vec<u8> {
        native_lines::json_lines(&self.records)
    }

    pub(crate) fn bodies(&self) -> wit::Texts {
        texts(self.records.iter().map(|record| record.body.as_str()))
    }

    pub(crate) fn keys(&self) -> wit::Texts {
        let keys = self.records.iter().map(|record| record.key.as_deref());
        texts(keys.map(Option::unwrap_or_default))
    }

    pub(crate) fn timestamps(&self) -> Vec<u64> {
        self.column(|record| record.timestamp)
    }

    pub(crate) fn observed(&self) -> Vec<u64> {
        self.column(|record| record.observed)
    }

    pub(crate) fn severities(&self) -> Vec<Severity> {
        self.column(|record| record.severity)
    }

    pub(crate) fn ids(&self) -> Vec<RecordId> {
        self.column(|record| record.id)
    }

    pub(crate) fn attributes(&self) -> wit::Attributes {
        let mut all = wit::Attributes {
            offsets: vec![0],
            names: Vec::new(),
            name_of: Vec::new(),
            values: Vec::new(),
        };
        for record in &self.records {
            for (name, value) in &record.attributes {
                let known = all.names.iter().position(|known| known == name);
                let number = known.unwrap_or_else(|| {
                    all.names.push(name.clone());
                    all.names.len() - 1
                });
                all.name_of.push(offset(number));
                all.values.push(value.clone());
            }
            all.offsets.push(offset(all.values.len()));
        }
        all
    }

    fn column<T>(&self, field: impl Fn(&LogRecord) -> T) -> Vec<T> {
        self.records.iter().map(field).collect()
    }
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> wit::Texts {
    let mut bytes = Vec::new();
    let mut offsets = vec![0];
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        offsets.push(offset(bytes.len()));
    }
    wit::Texts { bytes, offsets }
}

fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
