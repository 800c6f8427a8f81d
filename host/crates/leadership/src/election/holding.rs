//! Holding the lock, losing it, and releasing it.

use super::Election;
use super::role::{Campaign, Releasing, Role};
use crate::command::{Release, StreamCommand};
use crate::intervals::SHORT_RETRY_INTERVAL;
use crate::lock::Lock;
use crate::loss::Loss;
use sluice_types::clock::BootTime;

impl Election {
    /// A proof that was requested at `sent` under this epoch has ended; `None`
    /// without an answer.
    pub(crate) fn proved(&mut self, now: BootTime, epoch: u64, sent: BootTime, lock: Option<Lock>) {
        let Role::Leader(held) = &mut self.role else {
            return;
        };
        if held.epoch != epoch {
            return;
        }
        match lock {
            None => self
                .wishes
                .prove_by(held.unproven(now, self.settings.jitter)),
            Some(lock) if held.is_shown_by(&lock) => self.commands.extend(held.proved(sent)),
            Some(lock) => self.lose_to(now, &lock),
        }
    }

    /// Ends the tenure because of what a read shows.
    pub(super) fn lose_to(&mut self, now: BootTime, lock: &Lock) {
        if let Role::Leader(held) = &self.role {
            let loss = held.loss_shown_by(lock);
            // The session may have ended: find out at once.
            self.wishes.renew_at = Some(now);
            self.lose(now, loss);
        }
    }

    /// Ends the tenure, if there is one. Returns how to release its lock.
    fn lose(&mut self, now: BootTime, loss: Loss) -> Option<Release> {
        let Role::Leader(held) = &self.role else {
            return None;
        };
        self.unclaimed_flags = held.release_flags(now);
        let release = Release {
            session: held.session.clone(),
            acquisition: held.modify_index,
            flags: self.unclaimed_flags,
            successor: None,
        };
        self.commands.push(StreamCommand::Lose { loss });
        self.role = Role::Follower(Campaign::Idle);
        Some(release)
    }

    pub(super) fn step_down(&mut self, now: BootTime, loss: Loss, to: Option<String>) {
        if let Some(release) = self.lose(now, loss) {
            self.release(Release {
                successor: to,
                ..release
            });
        }
    }

    /// Releases a lock that this node holds without leading: it was taken
    /// without an answer, or written by hand since.
    pub(super) fn release_unclaimed(&mut self, session: String, acquisition: u64) {
        self.release(Release {
            session,
            acquisition,
            flags: self.unclaimed_flags,
            successor: None,
        });
    }

    fn release(&mut self, release: Release) {
        self.commands.push(StreamCommand::Release(release.clone()));
        let retry = None;
        self.role = Role::Follower(Campaign::Releasing(Releasing { release, retry }));
    }

    pub(super) fn released(
        &mut self,
        now: BootTime,
        session: &str,
        acquisition: u64,
        is_answered: bool,
    ) {
        let retry = now + self.retry();
        let Role::Follower(Campaign::Releasing(releasing)) = &mut self.role else {
            return;
        };
        let of = &releasing.release;
        if of.acquisition != acquisition || of.session != session {
            return;
        }
        if !is_answered {
            releasing.retry = Some(retry);
            return;
        }
        self.released = Some((session.to_owned(), acquisition));
        self.role = Role::Follower(Campaign::Idle);
        self.pause.extend(now + SHORT_RETRY_INTERVAL);
    }

    /// Asks again for a release that was not answered.
    pub(super) fn advance_release(&mut self, now: BootTime) {
        if let Role::Follower(Campaign::Releasing(releasing)) = &mut self.role
            && releasing.retry.is_some_and(|retry| now >= retry)
        {
            releasing.retry = None;
            let release = releasing.release.clone();
            self.commands.push(StreamCommand::Release(release));
        }
    }
}
