//! Makes records and batches.

use crate::native_source::Source;
use crate::{Batch, LogRecord, RecordId, Severity, Value};

/// A record of a test, to be refined by its methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    record: LogRecord,
    has_id: bool,
}

/// A record with this body, of 2023-11-14T22:13:20Z, and accepted half a second
/// later.
#[must_use]
pub fn record(body: impl Into<String>) -> Record {
    let record = LogRecord {
        id: RecordId {
            epoch: 1,
            sequence: 1,
        },
        key: None,
        timestamp: 1_700_000_000_000_000_000,
        observed: 1_700_000_000_500_000_000,
        severity: Severity::Unspecified,
        body: body.into(),
        attributes: Vec::new(),
    };
    Record {
        record,
        has_id: false,
    }
}

/// A batch of these records. Those without an id have epoch 1, and count from 1.
#[must_use]
pub fn batch(records: impl IntoIterator<Item = Record>) -> Batch {
    let numbered = (1..).zip(records).map(|(sequence, record)| {
        let id = RecordId { epoch: 1, sequence };
        let id = if record.has_id { record.record.id } else { id };
        LogRecord {
            id,
            ..record.record
        }
    });
    Source::new(numbered.collect()).into()
}

impl Record {
    /// Sets the id.
    #[must_use]
    pub const fn id(mut self, epoch: u64, sequence: u64) -> Self {
        self.record.id = RecordId { epoch, sequence };
        self.has_id = true;
        self
    }

    /// Sets the producer's own id.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.record.key = Some(key.into());
        self
    }

    /// Sets the time of the event, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(mut self, nanoseconds: u64) -> Self {
        self.record.timestamp = nanoseconds;
        self
    }

    /// Sets when the node accepted it, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn observed(mut self, nanoseconds: u64) -> Self {
        self.record.observed = nanoseconds;
        self
    }

    /// Sets the severity.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.record.severity = severity;
        self
    }

    /// Adds an attribute. The host gives each name once.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let attributes = &mut self.record.attributes;
        attributes.push((name.into(), value.into()));
        self
    }
}

impl From<LogRecord> for Record {
    fn from(record: LogRecord) -> Self {
        let has_id = true;
        Self { record, has_id }
    }
}
