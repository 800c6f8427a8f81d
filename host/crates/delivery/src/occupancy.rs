//! How much of a queue's limits is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::outcome::Refused;
use crate::queue_budget::{NoRoom, QueueShare};

/// The bounds of a queue. Records that are being offered to the sink count.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Records.
    pub records: usize,
    /// Bytes, as [`LogRecord::size`](sluice_types::record::LogRecord::size)
    /// counts them.
    pub bytes: usize,
}

/// The records and bytes of a queue that have no outcome yet. The queue and
/// its batches share it, so that a batch gives back what it held.
///
/// Only the queue adds to it, and only under its lock; a concurrent release
/// can therefore never make it exceed the limits.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    records: AtomicUsize,
    bytes: AtomicUsize,
    /// What the node has for all its streams, if that is bounded.
    share: Option<Arc<QueueShare>>,
}

impl Drop for Occupancy {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.release(*self.bytes.get_mut());
        }
    }
}

impl Occupancy {
    /// What is added counts in the share, too.
    pub(crate) fn in_share(share: Arc<QueueShare>) -> Self {
        Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            share: Some(share),
        }
    }

    /// Whether a request of this size may be added now.
    pub(crate) fn admits(
        &self,
        records: usize,
        bytes: usize,
        limits: QueueLimits,
    ) -> Result<(), Refused> {
        let (used_records, used_bytes) = self.used();
        if records > limits.records || bytes > limits.bytes {
            Err(Refused::TooLarge)
        } else if used_records + records > limits.records || used_bytes + bytes > limits.bytes {
            Err(Refused::Full)
        } else {
            match &self.share {
                Some(share) if !share.has_room(bytes) => Err(Refused::Full),
                _ => Ok(()),
            }
        }
    }

    /// Counts a request unless that is too much now.
    pub(crate) fn try_add(
        &self,
        records: usize,
        bytes: usize,
        limits: QueueLimits,
    ) -> Result<(), Refused> {
        self.admits(records, bytes, limits)?;
        if let Some(share) = &self.share {
            // Another stream may have been faster.
            share.try_add(bytes).map_err(|NoRoom| Refused::Full)?;
        }
        self.count(records, bytes);
        Ok(())
    }

    /// Counts a request that was taken in, whatever the limits are.
    pub(crate) fn add(&self, records: usize, bytes: usize) {
        if let Some(share) = &self.share {
            share.add(bytes);
        }
        self.count(records, bytes);
    }

    fn count(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Gives back what records held that have their outcome.
    pub(crate) fn release(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if let Some(share) = &self.share {
            share.release(bytes);
        }
    }

    /// Records and bytes.
    pub(crate) fn used(&self) -> (usize, usize) {
        (
            self.records.load(Ordering::Acquire),
            self.bytes.load(Ordering::Acquire),
        )
    }
}
