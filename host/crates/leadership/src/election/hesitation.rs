//! Leaving a free lock to the node that should have it.

use std::time::Duration;

use crate::lock::Lock;
use sluice_types::clock::BootTime;

/// For how long a lock that has become free is left to the node that should have
/// it: that node needs three round trips to Consul.
const HESITATION: Duration = Duration::from_millis(300);

/// Whether, and until when, this node leaves a free lock to another.
#[derive(Debug, Default)]
pub(super) struct Hesitation {
    is_set: bool,
    /// Since when the lock has been free.
    free_since: Option<BootTime>,
}

impl Hesitation {
    /// Whether another node should have the lock.
    pub(super) const fn set(&mut self, is_set: bool) {
        self.is_set = is_set;
    }

    /// A watch shows the lock.
    pub(super) fn see(&mut self, now: BootTime, lock: &Lock) {
        self.free_since = match lock.holder() {
            Some(_) => None,
            None => self.free_since.or(Some(now)),
        };
    }

    /// Until when a free lock is left to another.
    pub(super) fn until(&self) -> BootTime {
        match self.free_since {
            Some(since) if self.is_set => since + HESITATION,
            _ => BootTime::default(),
        }
    }
}
