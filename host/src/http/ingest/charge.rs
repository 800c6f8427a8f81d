//! What a request takes of its client's quota.

use std::sync::Arc;

use super::client::Sending;
use sluice_access::Quota;
use sluice_types::record::LogRecord;

/// What a request takes of its client's quota. It is given back if this is dropped
/// before [`Self::keep`].
#[derive(Debug)]
pub(super) struct Charge {
    quota: Option<Arc<Quota>>,
    records: usize,
    bytes: usize,
}

impl Charge {
    /// Takes what these records are.
    pub(super) fn new(client: &Sending, records: &[LogRecord]) -> Self {
        let Some(client) = client else {
            return Self {
                quota: None,
                records: 0,
                bytes: 0,
            };
        };
        let bytes = records.iter().map(LogRecord::size).sum();
        client.quota().take(records.len(), bytes);
        Self {
            quota: Some(Arc::clone(client.quota())),
            records: records.len(),
            bytes,
        }
    }

    /// The records are accepted.
    pub(super) fn keep(mut self) {
        self.quota = None;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.give_back(self.records, self.bytes);
        }
    }
}
