//! Until when this node does not campaign.

use std::time::Duration;

use crate::lock::Lock;
use sluice_types::clock::BootTime;

#[derive(Debug, Default)]
pub(super) struct CampaignPause {
    until: BootTime,
    /// The acquisition that this node gave up: the pause ends once another
    /// node has taken the lock after it.
    given_up: Option<u64>,
}

impl CampaignPause {
    pub(super) const fn until(&self) -> BootTime {
        self.until
    }

    /// Extends the pause at least until then.
    pub(super) fn extend(&mut self, until: BootTime) {
        self.until = self.until.max(until);
    }

    /// Ends the pause, whatever its reason.
    pub(super) const fn end(&mut self, now: BootTime) {
        self.until = now;
    }

    /// Leaves the lock of this acquisition to others for `stay_out`, or only
    /// until another node has taken it.
    pub(super) fn leave(
        &mut self,
        now: BootTime,
        acquisition: u64,
        stay_out: Duration,
        until_taken: bool,
    ) {
        self.given_up = until_taken.then_some(acquisition);
        self.extend(now + stay_out);
    }

    /// Ends the pause if this read shows that another node has taken the lock.
    pub(super) fn see(&mut self, now: BootTime, lock: &Lock) {
        let taken = lock.key.as_ref().filter(|key| key.session.is_some());
        let is_taken = |after| taken.is_some_and(|key| key.modify_index > after);
        if self.given_up.is_some_and(is_taken) {
            self.given_up = None;
            self.until = now;
        }
    }
}
