//! Who leads: the rules, without I/O and without a clock of their own.
//!
//! [`Election`] is told what happened and when; it answers with [`Command`]s.
//! Everything that it believes about the lock comes from answers that carry a
//! reading of the clock from before their question was asked, so it can be
//! tested against any order, delay or loss of answers.
//!
//! The rules, in short:
//! - The lock is taken in one transaction with the epoch, against the state
//!   that a consistent read showed.
//! - A winner that finds a lock which was not released cleanly waits out every
//!   lease that may still be running before its own begins.
//! - A lease is valid until one lease after the latest proof was sent; a proof
//!   is a consistent read that shows this very acquisition.
//! - The lock is lost when a read shows that the acquisition is gone. Silence
//!   only suspends. A renewal that says that the session is gone triggers a
//!   proof, because that answer may be out of date.
//! - A leader that renews its session but cannot prove the lock for long releases
//!   it: Consul is available, and would keep the lock for it forever.
//! - A node stops acknowledging first, and then releases. A session that was
//!   released never takes the lock again, so a release that arrives late or
//!   twice frees nothing. Every session that is given up is ended.

mod campaign_pause;
mod found;
mod head_start;
mod held_lock;
mod holding;
mod intervals;
mod lock_session;
mod lock_watch;
mod role;
mod taking;

use std::time::Duration;

use super::command::Command;
use super::event::Event;
use super::lock::Lock;
use super::loss::Loss;
use super::retired_sessions::RetiredSessions;
use super::settings::Settings;
use campaign_pause::CampaignPause;
use head_start::HeadStart;
use intervals::{RENEWAL_INTERVAL, RETRY_INTERVAL};
use lock_session::LockSession;
use lock_watch::LockWatch;
use role::{Campaign, Role};
use sluice_types::clock::BootTime;

/// How long a leader that proved nothing leaves the lock to the others, if none
/// of them takes it.
const UNPROVEN_STAY_OUT: Duration = Duration::from_secs(3);

/// The state of one node's part in the election.
#[derive(Debug)]
pub(super) struct Election {
    settings: Settings,
    session: LockSession,
    retired: RetiredSessions,
    watch: LockWatch,
    role: Role,
    /// The highest epoch that this node knows.
    epoch: u64,
    eligible: bool,
    /// Whether another node is better prepared.
    yielding: bool,
    pause: CampaignPause,
    head_start: HeadStart,
    /// The flags to release with if the lock turns out to be held by this node
    /// although it does not lead.
    unclaimed_flags: u64,
    stopping: bool,
    commands: Vec<Command>,
}

impl Election {
    /// The election of a node that knows this epoch. It has no session yet, and
    /// is not eligible.
    pub(super) fn new(settings: Settings, epoch: u64) -> Self {
        Self {
            settings,
            session: LockSession::None {
                retry: BootTime::default(),
            },
            retired: RetiredSessions::default(),
            watch: LockWatch::default(),
            role: Role::Follower(Campaign::Idle),
            epoch,
            eligible: false,
            yielding: false,
            pause: CampaignPause::default(),
            head_start: HeadStart::default(),
            unclaimed_flags: 0,
            stopping: false,
            commands: Vec::new(),
        }
    }

    /// The highest epoch that is known.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The session that is held, as far as is known.
    pub(super) fn session(&self) -> Option<&str> {
        self.session.id()
    }

    /// Whether the end of a session that was given up is not confirmed yet.
    pub(super) fn is_releasing(&self) -> bool {
        self.retired.is_any_ending()
    }

    /// Handles an event that happened by `now`, and returns what to do.
    pub(super) fn handle(&mut self, now: BootTime, event: Event) -> Vec<Command> {
        match event {
            Event::Session(created) => self.session_created(now, created),
            Event::Renewed { session, exists } => self.renewed(now, &session, exists),
            Event::Watched(lock) => self.watched(now, lock),
            Event::Looked(looked) => self.looked(now, looked),
            Event::Took { sent, taken } => self.took(now, sent, taken),
            Event::Proved { epoch, sent, lock } => self.proved(now, epoch, sent, lock),
            Event::Released { session } => self.released(now, &session),
            Event::Destroyed { session } => self.retired.ended(&session),
            Event::EpochSeen(epoch) => self.epoch_seen(now, epoch),
            Event::Eligible(eligible) => self.set_eligible(now, eligible),
            Event::Yielding(yielding) => self.yielding = yielding,
            Event::StepDown {
                epoch,
                stay_out,
                until_taken,
                to,
            } => self.ordered_down(now, epoch, (stay_out, until_taken), to),
            Event::Shutdown => {
                self.stopping = true;
                self.step_down(now, Loss::Unable, None);
            }
            Event::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.commands)
    }

    /// When to be called again at the latest.
    pub(super) fn wake(&self) -> Option<BootTime> {
        let session = self.session.wake(!self.stopping);
        let watch = self.watch.wake().filter(|_| !self.stopping);
        let role = match &self.role {
            Role::Leader(held) => Some(held.wake()),
            Role::Follower(Campaign::Idle) => self.next_campaign(),
            Role::Follower(_) => None,
        };
        [session, watch, role].into_iter().flatten().min()
    }

    /// When an idle follower has something to do, given what it knows.
    fn next_campaign(&self) -> Option<BootTime> {
        self.session.id()?;
        self.may_campaign().then(|| self.pause.until())
    }

    /// Whether this node may take the lock, apart from the pause.
    fn may_campaign(&self) -> bool {
        let is_willing = self.eligible && !self.yielding && !self.stopping;
        let is_free = self.watch.is_known() && self.watch.lock().holder().is_none();
        is_willing && is_free
    }

    fn retry(&self) -> Duration {
        RETRY_INTERVAL + self.settings.jitter
    }
}

/// What is due.
impl Election {
    /// Starts what is due.
    fn advance(&mut self, now: BootTime) {
        let session = self.session.advance(now, !self.stopping);
        self.commands.extend(session);
        if !self.stopping {
            self.commands.extend(self.watch.advance(now));
        }
        match &mut self.role {
            Role::Leader(held) => self.commands.extend(held.advance(now)),
            Role::Follower(Campaign::Idle) => self.advance_campaign(now),
            Role::Follower(_) => {}
        }
    }

    fn advance_campaign(&mut self, now: BootTime) {
        let Some(id) = self.session.id() else {
            let has_none = matches!(self.session, LockSession::None { .. });
            if self.stopping && has_none && !self.retired.is_any_ending() {
                self.commands.push(Command::Finished);
            }
            return;
        };
        if self.stopping {
            self.retire_session(now);
        } else if self.watch.lock().is_held_by(id) {
            // Taken without an answer, or still held after it was given up.
            self.release(None);
        } else if now >= self.pause.until() && self.may_campaign() {
            self.role = Role::Follower(Campaign::Looking);
            self.commands.push(Command::Look);
        }
    }
}

/// Orders, and reports of other nodes.
impl Election {
    fn set_eligible(&mut self, now: BootTime, eligible: bool) {
        // There is no longer a reason to leave the lock to others.
        if eligible {
            self.pause.end(now);
        }
        self.eligible = eligible;
    }

    fn epoch_seen(&mut self, now: BootTime, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
        if let Role::Leader(held) = &self.role
            && held.epoch < epoch
        {
            self.step_down(now, Loss::Outrun { epoch }, None);
        }
    }

    fn ordered_down(
        &mut self,
        now: BootTime,
        epoch: u64,
        (stay_out, until_taken): (Duration, bool),
        to: Option<String>,
    ) {
        if let Role::Leader(held) = &self.role
            && held.epoch == epoch
        {
            self.pause
                .leave(now, held.modify_index, stay_out, until_taken);
            self.step_down(now, Loss::Ordered, to);
        }
    }
}

/// The session.
impl Election {
    fn session_created(&mut self, now: BootTime, created: Option<String>) {
        // A repeated answer may name a session that was given up.
        let is_retired = created.as_ref().is_some_and(|id| self.retired.contains(id));
        if matches!(self.session, LockSession::Creating) && !is_retired {
            self.session.created(now, created, now + self.retry());
        }
    }

    fn renewed(&mut self, now: BootTime, session: &str, exists: Option<bool>) {
        if !self.session.renewal_ended(session) {
            return;
        }
        match (&mut self.role, exists) {
            (Role::Leader(held), _) => {
                let renewal = held.renewed(now, exists);
                self.session.renew_at(renewal.next);
                if renewal.is_in_vain {
                    self.pause
                        .leave(now, held.modify_index, UNPROVEN_STAY_OUT, true);
                    self.step_down(now, Loss::Unproven, None);
                }
            }
            (Role::Follower(_), None) => self.session.renew_at(now + RETRY_INTERVAL),
            (Role::Follower(_), Some(true)) => self.session.renew_at(now + RENEWAL_INTERVAL),
            (Role::Follower(_), Some(false)) => self.retire_session(now),
        }
    }

    /// Gives up the session. The next one is created from `retry` on.
    fn retire_session(&mut self, retry: BootTime) {
        if let Some(id) = self.session.retire(retry) {
            self.commands.push(self.retired.retire(id));
        }
    }
}

/// Reads of the lock.
impl Election {
    fn watched(&mut self, now: BootTime, lock: Option<Lock>) {
        let Some(lock) = lock else {
            self.watch.ended(false, now + self.retry());
            return;
        };
        self.watch.ended(true, now);
        if let Role::Leader(held) = &self.role {
            // An older answer may come from before the lock was taken.
            let is_later = lock.index > held.modify_index;
            if is_later && !held.is_shown_by(&lock) {
                self.lose_to(now, &lock);
            }
        }
        self.pause.see(now, &lock);
        self.see(lock);
    }

    fn see(&mut self, lock: Lock) {
        if let Some(holder) = lock.holder() {
            self.commands.extend(self.retired.seen_holding(holder));
        }
        if self.watch.see(lock) {
            let lock = self.watch.lock().clone();
            self.commands.push(Command::Show(lock));
        }
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
