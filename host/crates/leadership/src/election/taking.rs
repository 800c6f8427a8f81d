//! Taking the lock: a look, an attempt, and what came of it.

use std::time::Duration;

use super::Election;
use super::found::Found;
use super::held_lock::HeldLock;
use super::role::{Attempt, Campaign, Role};
use crate::command::StreamCommand;
use crate::intervals::SHORT_RETRY_INTERVAL;
use crate::lock::{Epoch, Looked};
use crate::loss::Loss;
use crate::take::{Take, Taken};
use sluice_types::clock::BootTime;

/// The pause after an attempt that the ACL did not permit.
const DENIED_RETRY_INTERVAL: Duration = Duration::from_secs(5);
impl Election {
    pub(super) fn looked(&mut self, now: BootTime, looked: Option<Looked>) {
        if !matches!(self.role, Role::Follower(Campaign::Looking)) {
            return;
        }
        self.role = Role::Follower(Campaign::Idle);
        let Some(looked) = looked.filter(|_| !self.stopping) else {
            self.pause.extend(now + self.retry());
            return;
        };
        let next_epoch = self.next_epoch(looked.epoch);
        if looked.lock.holder().is_some() {
            // Held by another node, or by this one without an answer; the watch
            // may lag.
            self.pause.extend(now + SHORT_RETRY_INTERVAL);
            self.see(looked.lock);
            return;
        }
        let other = looked.successor.as_ref();
        let other = other.filter(|successor| successor.node != self.settings.node);
        if let Some(until) = other.and_then(|other| self.head_start.until(now, other.clone())) {
            self.pause.extend(until);
            return;
        }
        self.try_take(now, &looked, next_epoch);
    }

    /// The epoch of the next tenure: beyond all that are known, and far beyond
    /// if the coordinator has forgotten some of them.
    fn next_epoch(&mut self, consul: Epoch) -> u64 {
        let is_behind = consul.value < self.epoch;
        if is_behind {
            self.wishes.behind = Some((consul.value, self.epoch));
        }
        self.epoch = self.epoch.max(consul.value);
        let step = if is_behind { self.settings.leap } else { 1 };
        self.epoch.saturating_add(step)
    }

    fn try_take(&mut self, now: BootTime, looked: &Looked, epoch: u64) {
        let Some(session) = self.session.clone() else {
            return;
        };
        let (key, successor) = (looked.lock.key.as_ref(), looked.successor.as_ref());
        let found = Found::new(&looked.lock);
        let take = Take {
            session,
            expected: key.map(|key| key.modify_index),
            epoch,
            epoch_index: looked.epoch.modify_index,
            successor_index: successor.map(|successor| successor.modify_index),
            flags: found.flags_after(self.settings.lease),
        };
        self.unclaimed_flags = found.flags;
        self.commands.push(StreamCommand::Take {
            sent: now,
            take: take.clone(),
        });
        self.role = Role::Follower(Campaign::Taking(Attempt {
            sent: now,
            take,
            found,
        }));
    }

    pub(super) fn took(&mut self, now: BootTime, sent: BootTime, taken: Taken) {
        let Some(attempt) = self.end_attempt(sent) else {
            return;
        };
        let is_ours = self.session.as_ref() == Some(&attempt.take.session);
        match taken {
            // The session was given up meanwhile, and is being ended.
            Taken::Won { .. } if !is_ours => self.epoch = self.epoch.max(attempt.take.epoch),
            Taken::Won { modify_index } => self.won(now, attempt, modify_index),
            Taken::Lost => self.pause.extend(now + SHORT_RETRY_INTERVAL),
            Taken::InvalidSession if is_ours => self.wishes.session_is_gone = true,
            Taken::InvalidSession => {}
            Taken::Denied => self.pause.extend(now + DENIED_RETRY_INTERVAL),
            Taken::Unknown => self.pause.extend(now + self.retry()),
        }
    }

    /// The attempt that was sent at `sent`, if it is under way.
    fn end_attempt(&mut self, sent: BootTime) -> Option<Attempt> {
        let idle = Role::Follower(Campaign::Idle);
        match std::mem::replace(&mut self.role, idle) {
            Role::Follower(Campaign::Taking(attempt)) if attempt.sent == sent => Some(attempt),
            other => {
                self.role = other;
                None
            }
        }
    }

    fn won(&mut self, now: BootTime, attempt: Attempt, modify_index: u64) {
        let Attempt { sent, take, found } = attempt;
        self.epoch = self.epoch.max(take.epoch);
        let lease = self.settings.lease;
        let held = HeldLock::new(now, sent, take, modify_index, found, lease);
        self.wishes.prove_by(now + lease / 3);
        self.commands.push(held.lead());
        self.role = Role::Leader(held);
        if self.stopping || !self.eligible {
            self.step_down(now, Loss::Unable, None);
        }
    }
}
