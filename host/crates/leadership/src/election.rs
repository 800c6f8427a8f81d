//! Who leads a stream: the rules, without I/O and without a clock of their own.
//!
//! [`Election`] is told what happened to one stream and when; it answers with
//! [`StreamCommand`]s, and with [`Wishes`] about what the streams of a node
//! share ([`Elections`](crate::elections::Elections)): the session that holds
//! the locks, and the reads that prove them. Everything that it believes about
//! the lock comes from answers that carry a reading of the clock from before
//! their question was asked, so it can be tested against any order, delay or
//! loss of answers.
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
//! - A leader whose lease has been over for a while asks the other nodes. If one
//!   of them sees the lock by a consistent read, it is the leader that Consul does
//!   not answer; it releases the lock, through the others.
//! - A node stops acknowledging first, and then releases. A release names the
//!   acquisition, so one that arrives late or twice frees no other. It is
//!   repeated until it is answered, or until the session has ended.

mod campaign_pause;
mod found;
mod head_start;
mod held_lock;
mod hesitation;
mod holding;
mod role;
mod taking;
mod wishes;

use std::time::Duration;

use super::command::StreamCommand;
use super::event::StreamEvent;
use super::lock::Lock;
use super::loss::Loss;
use super::settings::Settings;
use crate::intervals::RETRY_INTERVAL;
use campaign_pause::CampaignPause;
use head_start::HeadStart;
pub(super) use held_lock::Renewal;
use hesitation::Hesitation;
use role::{Campaign, Role};
use sluice_types::clock::BootTime;
pub(super) use wishes::Wishes;

/// How long a leader that proved nothing leaves the lock to the others, if none
/// of them takes it.
const UNPROVEN_STAY_OUT: Duration = Duration::from_secs(3);
/// How long a leader that Consul does not answer leaves the lock to the others, if
/// it learns of none that takes it.
const ISOLATED_STAY_OUT: Duration = Duration::from_secs(5);

/// The state of one node's part in the election of one stream.
#[derive(Debug)]
pub(super) struct Election {
    settings: Settings,
    /// The node's session, if it has one.
    session: Option<String>,
    /// The lock as it was last seen.
    lock: Lock,
    role: Role,
    /// The highest epoch that this node knows, of any stream.
    epoch: u64,
    eligible: bool,
    /// Whether another node is better prepared.
    yielding: bool,
    hesitation: Hesitation,
    pause: CampaignPause,
    head_start: HeadStart,
    /// The flags to release with if the lock turns out to be held by this node
    /// although it does not lead.
    unclaimed_flags: u64,
    /// The latest acquisition whose release was answered, and its session.
    released: Option<(String, u64)>,
    stopping: bool,
    commands: Vec<StreamCommand>,
    wishes: Wishes,
}

impl Election {
    /// The election of a node that knows this epoch and has this session. It is
    /// not eligible.
    pub(super) fn new(settings: Settings, epoch: u64, session: Option<String>) -> Self {
        Self {
            settings,
            session,
            lock: Lock::default(),
            role: Role::Follower(Campaign::Idle),
            epoch,
            eligible: false,
            yielding: false,
            hesitation: Hesitation::default(),
            pause: CampaignPause::default(),
            head_start: HeadStart::default(),
            unclaimed_flags: 0,
            released: None,
            stopping: false,
            commands: Vec::new(),
            wishes: Wishes::default(),
        }
    }

    /// The highest epoch that is known.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The session that holds the lock, as it was last seen.
    pub(super) fn holder(&self) -> Option<&str> {
        self.lock.holder()
    }

    /// The epoch of the tenure, if this node leads.
    pub(super) const fn tenure(&self) -> Option<u64> {
        match &self.role {
            Role::Leader(held) => Some(held.epoch),
            Role::Follower(_) => None,
        }
    }

    /// When the lease ends or has ended, and the acquisition, if this node leads.
    pub(super) fn lease_end(&self) -> Option<(BootTime, &str, u64)> {
        match &self.role {
            Role::Leader(held) => Some((held.until, &held.session, held.modify_index)),
            Role::Follower(_) => None,
        }
    }

    /// The others reach Consul, and this node does not: if it leads without a
    /// lease, it leaves the lock to them.
    pub(super) fn isolated(&mut self, now: BootTime) {
        if let Role::Leader(held) = &self.role
            && now >= held.until
        {
            let acquisition = held.modify_index;
            self.pause.leave(now, acquisition, ISOLATED_STAY_OUT, true);
            self.step_down(now, Loss::Isolated, None);
        }
    }

    /// Whether nothing is under way, and no lock is held or may become so.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(
            self.role,
            Role::Follower(Campaign::Idle | Campaign::Looking)
        )
    }

    /// Whether a lock that this node has given up may still be held by it.
    pub(super) fn is_releasing(&self) -> bool {
        let is_asked = matches!(self.role, Role::Follower(Campaign::Releasing(_)));
        let is_follower = self.tenure().is_none();
        is_asked || is_follower && self.unclaimed().is_some()
    }

    /// What there is to do since this was last called.
    pub(super) fn take_commands(&mut self) -> (Vec<StreamCommand>, Wishes) {
        let wishes = std::mem::take(&mut self.wishes);
        (std::mem::take(&mut self.commands), wishes)
    }

    /// Handles an event that happened by `now`.
    pub(super) fn handle(&mut self, now: BootTime, event: StreamEvent) {
        match event {
            StreamEvent::Looked(looked) => self.looked(now, looked),
            StreamEvent::Took { sent, taken } => self.took(now, sent, taken),
            StreamEvent::Released {
                session,
                acquisition,
                is_answered,
            } => self.released(now, &session, acquisition, is_answered),
            StreamEvent::Eligible(eligible) => self.set_eligible(now, eligible),
            StreamEvent::Yielding(yielding) => self.yielding = yielding,
            StreamEvent::Hesitating(hesitating) => self.hesitation.set(hesitating),
            StreamEvent::StepDown {
                epoch,
                stay_out,
                until_taken,
                to,
            } => self.ordered_down(now, epoch, (stay_out, until_taken), to),
        }
    }

    /// Releases the lock, and does not take it again.
    pub(super) fn stop(&mut self, now: BootTime) {
        self.stopping = true;
        self.step_down(now, Loss::Unable, None);
    }

    /// The session of the node is this one from now on. The one before, if there
    /// was one, is being ended, which frees what it holds.
    pub(super) fn set_session(&mut self, session: Option<String>) {
        self.session = session;
        if matches!(self.role, Role::Follower(Campaign::Releasing(_))) {
            self.role = Role::Follower(Campaign::Idle);
        }
    }

    /// This epoch is known, of this stream or another.
    pub(super) fn know_epoch(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The session was renewed, or was not; what follows if this node leads.
    pub(super) fn renewed(&mut self, now: BootTime, exists: Option<bool>) -> Option<Renewal> {
        let Role::Leader(held) = &mut self.role else {
            return None;
        };
        let renewal = held.renewed(now, exists);
        if exists == Some(false) {
            // The answer may be out of date, so the lock is read.
            self.wishes.prove_by(now);
        }
        if renewal.is_in_vain {
            let acquisition = held.modify_index;
            self.pause.leave(now, acquisition, UNPROVEN_STAY_OUT, true);
            self.step_down(now, Loss::Unproven, None);
        }
        Some(renewal)
    }

    /// A watch shows the lock.
    pub(super) fn watched(&mut self, now: BootTime, lock: Lock) {
        if let Role::Leader(held) = &self.role {
            // An older answer may come from before the lock was taken.
            let is_later = lock.index > held.modify_index;
            if is_later && !held.is_shown_by(&lock) {
                self.lose_to(now, &lock);
            }
        }
        self.pause.see(now, &lock);
        self.hesitation.see(now, &lock);
        self.see(lock);
    }

    fn see(&mut self, lock: Lock) {
        if self.lock.key != lock.key {
            self.commands.push(StreamCommand::Show(lock.clone()));
        }
        self.lock = lock;
    }

    /// When something is due, given whether the lock is known to be as it was
    /// last seen.
    pub(super) fn wake(&self, is_lock_known: bool) -> Option<BootTime> {
        match &self.role {
            Role::Leader(_) => None,
            Role::Follower(Campaign::Releasing(releasing)) => releasing.retry,
            Role::Follower(Campaign::Idle) => {
                self.may_campaign(is_lock_known).then(|| self.waits_until())
            }
            Role::Follower(_) => None,
        }
    }

    /// Starts what is due.
    pub(super) fn advance(&mut self, now: BootTime, is_lock_known: bool) {
        match &self.role {
            Role::Follower(Campaign::Releasing(_)) => self.advance_release(now),
            Role::Follower(Campaign::Idle) if !self.stopping => {
                self.advance_campaign(now, is_lock_known);
            }
            _ => {}
        }
    }

    fn advance_campaign(&mut self, now: BootTime, is_lock_known: bool) {
        if let Some((session, acquisition)) = self.unclaimed() {
            // Taken without an answer, or still held after it was given up.
            self.release_unclaimed(session, acquisition);
        } else if self.may_campaign(is_lock_known) && now >= self.waits_until() {
            self.role = Role::Follower(Campaign::Looking);
            self.commands.push(StreamCommand::Look);
        }
    }

    /// The acquisition by this node's session that was last seen, unless it was
    /// released: the watch may lag.
    fn unclaimed(&self) -> Option<(String, u64)> {
        let session = self.session.as_ref()?;
        let key = self.lock.key.as_ref();
        let held = key.filter(|key| key.session.as_ref() == Some(session))?;
        let held = (session.clone(), held.modify_index);
        (self.released.as_ref() != Some(&held)).then_some(held)
    }

    /// Whether this node may take the lock, apart from the pause.
    fn may_campaign(&self, is_lock_known: bool) -> bool {
        let is_willing = self.eligible && !self.yielding && !self.stopping;
        let is_free = is_lock_known && self.holder().is_none();
        self.session.is_some() && is_willing && is_free
    }

    /// Until when this node does not campaign.
    fn waits_until(&self) -> BootTime {
        self.pause.until().max(self.hesitation.until())
    }

    fn retry(&self) -> Duration {
        RETRY_INTERVAL + self.settings.jitter
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

    /// A node has led under this epoch, and the coordinator does not know it.
    pub(super) fn outrun(&mut self, now: BootTime, epoch: u64) {
        self.know_epoch(epoch);
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
