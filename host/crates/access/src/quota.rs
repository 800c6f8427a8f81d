//! How much a client may send.

use std::time::Duration;

use crate::bucket::Bucket;

/// How much a client may send: records and bytes per second. Without limits, all
/// that it wants.
#[derive(Debug, Default)]
pub struct Quota {
    limits: Limits,
    records: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// The limits of a quota, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) records: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: limits.records.map(Bucket::new),
            bytes: limits.bytes.map(Bucket::new),
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// How long until the client may send again; zero if it may now.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let wait = |bucket: &Option<Bucket>| bucket.as_ref().map(Bucket::wait).unwrap_or_default();
        wait(&self.records).max(wait(&self.bytes))
    }

    /// Counts what the client sent. Bytes are those of texts and attributes, as
    /// they count for the queue.
    pub fn take(&self, records: usize, bytes: usize) {
        if let Some(bucket) = &self.records {
            bucket.take(records);
        }
        if let Some(bucket) = &self.bytes {
            bucket.take(bytes);
        }
    }

    /// Undoes [`Self::take`] for what was not taken after all.
    pub fn give_back(&self, records: usize, bytes: usize) {
        if let Some(bucket) = &self.records {
            bucket.give_back(records);
        }
        if let Some(bucket) = &self.bytes {
            bucket.give_back(bytes);
        }
    }
}
