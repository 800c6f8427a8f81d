//! Holding the lock, losing it, and releasing it.

use super::Election;
use super::intervals::SHORT_RETRY_INTERVAL;
use super::role::{Campaign, Role};
use crate::command::Command;
use crate::lock::Lock;
use crate::loss::Loss;
use sluice_types::clock::BootTime;

impl Election {
    pub(super) fn proved(&mut self, now: BootTime, epoch: u64, sent: BootTime, lock: Option<Lock>) {
        let Role::Leader(held) = &mut self.role else {
            return;
        };
        if held.epoch != epoch {
            return;
        }
        held.proof_ended();
        match lock {
            None => held.unproven(now, self.settings.jitter),
            Some(lock) if held.is_shown_by(&lock) => self.commands.extend(held.proved(sent)),
            Some(lock) => self.lose_to(now, &lock),
        }
    }

    /// Ends the tenure because of what a read shows.
    pub(super) fn lose_to(&mut self, now: BootTime, lock: &Lock) {
        if let Role::Leader(held) = &self.role {
            let loss = held.loss_shown_by(lock);
            // The session may have ended: find out at once.
            self.session.renew_at(now);
            self.lose(now, loss);
        }
    }

    /// Ends the tenure, if there is one.
    fn lose(&mut self, now: BootTime, loss: Loss) {
        if let Role::Leader(held) = &self.role {
            self.unclaimed_flags = held.release_flags(now);
            self.commands.push(Command::Lose { loss });
            self.role = Role::Follower(Campaign::Idle);
        }
    }

    pub(super) fn step_down(&mut self, now: BootTime, loss: Loss, to: Option<String>) {
        if matches!(self.role, Role::Leader(_)) {
            self.lose(now, loss);
            self.release(to);
        }
    }

    pub(super) fn release(&mut self, successor: Option<String>) {
        if let Some(session) = self.session.id().map(str::to_owned) {
            self.commands.push(Command::Release {
                session: session.clone(),
                flags: self.unclaimed_flags,
                successor,
            });
            self.role = Role::Follower(Campaign::Releasing { session });
        }
    }

    pub(super) fn released(&mut self, now: BootTime, of: &str) {
        match &self.role {
            Role::Follower(Campaign::Releasing { session }) if session == of => {}
            _ => return,
        }
        self.role = Role::Follower(Campaign::Idle);
        self.pause.extend(now + SHORT_RETRY_INTERVAL);
        // The release may still arrive, or arrive twice, and it names only the
        // session: under the same session, it could free a lock that is won
        // later.
        if self.session() == Some(of) {
            self.retire_session(now + self.retry());
        }
    }
}
