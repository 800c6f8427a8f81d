//! One dead letter.

use serde::{Deserialize, Serialize};

use sluice_types::clock::timestamp;
use sluice_types::plugin::Identity;
use sluice_types::record::LogRecord;
use sluice_types::record_document::RecordDocument;

/// Why a record is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It broke the sink repeatedly.
    Poison,
    /// The sink refused it when its producer could not be told any more.
    Refused,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Letter {
    /// The record's epoch and sequence. No other tenure in the cluster has the
    /// epoch, so the id is unique there.
    pub id: String,
    /// When the record was set aside, in RFC 3339.
    pub time: String,
    /// Why it was set aside.
    pub cause: Cause,
    /// The sink's answer, or how the sink broke.
    pub reason: String,
    /// The sink.
    pub plugin: Identity,
    /// The record.
    pub record: RecordDocument,
}

impl Letter {
    /// A letter that is set aside now.
    #[must_use]
    pub fn new(record: &LogRecord, cause: Cause, reason: &str, plugin: &Identity) -> Self {
        Self {
            id: format!("{}-{}", record.id.epoch, record.id.sequence),
            time: timestamp(),
            cause,
            reason: reason.to_owned(),
            plugin: plugin.clone(),
            record: record.into(),
        }
    }
}
