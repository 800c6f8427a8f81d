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
//!   lease that may still run before its own begins.
//! - A lease is valid until a lease's length after the latest proof was sent;
//!   a proof is a consistent read that shows the very acquisition.
//! - The lock is lost when a read shows that the acquisition is not there any
//!   more. Silence only suspends; and a renewal that says that the session is
//!   gone is a reason to ask for a proof, as it may be told from the past.
//! - Who can renew its session for long but proves nothing lets go: Consul is
//!   there, and would keep the lock for it for ever.
//! - Who lets go stops first, and then releases. A session that was released
//!   under never takes the lock again, so a release that comes late or twice
//!   finds nothing to free. Every session that is let go of is ended.

use std::time::Duration;

use super::command::Command;
use super::event::Event;
use super::lock::{CLEAN, Lock, Looked, Successor};
use super::loss::Loss;
use super::retired_sessions::RetiredSessions;
use super::settings::Settings;
use super::take::{Take, Taken};
use sluice_types::clock::BootTime;

/// No lease is longer; flags that say so were not written by a node.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// Proofs that may be open at once.
const MAX_OPEN_PROOFS: u32 = 3;
/// How often a session is renewed; its TTL is 10 s.
const RENEWAL_INTERVAL: Duration = Duration::from_millis(2500);
/// How often while nothing proves that the lock is held.
const UNPROVEN_RENEWAL_INTERVAL: Duration = Duration::from_secs(1);
/// Once a lease is over for so long, renewals say whether Consul is there: one
/// that lost its quorum answers none any more.
const UNPROVEN_LIMIT: Duration = Duration::from_secs(3);
/// If all are answered for so long from then on, the lock is let go of. One that
/// has just come back is given time to prove it.
const RENEWED_LIMIT: Duration = Duration::from_secs(2);
/// How long the lock is left to the others then, if none takes it.
const UNPROVEN_STAY_OUT: Duration = Duration::from_secs(3);
/// Waits after something went wrong.
const SHORT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const DENIED_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long a free lock is left to the node that the last leader wished for.
const SUCCESSOR_HEAD_START: Duration = Duration::from_secs(3);

#[derive(Debug)]
enum Session {
    None {
        retry: BootTime,
    },
    Creating,
    Held {
        id: String,
        renew: BootTime,
        renewing: bool,
    },
}

#[derive(Debug)]
enum Role {
    Follower(Campaign),
    Leader(Tenure),
}

#[derive(Debug)]
enum Campaign {
    Idle,
    Looking,
    Taking(Attempt),
    Releasing { session: String },
}

/// An attempt to take the lock that is under way.
#[derive(Debug)]
struct Attempt {
    sent: BootTime,
    session: String,
    epoch: u64,
    found: Found,
}

/// How the lock was found before it was taken.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// As the key says; 0 if there was none.
    flags: u64,
}

impl Found {
    fn is_clean(self) -> bool {
        self.flags == CLEAN
    }

    /// The longest lease that a holder before us may have had, by the flags.
    fn lease(self) -> Duration {
        if self.is_clean() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.flags).min(LONGEST_LEASE)
    }
}

#[derive(Debug)]
struct Tenure {
    epoch: u64,
    /// Holds the lock.
    session: String,
    modify_index: u64,
    /// What the lock says while we hold it.
    flags: u64,
    found: Found,
    from: BootTime,
    until: BootTime,
    next_proof: BootTime,
    open_proofs: u32,
    /// From when on each renewal was answered with yes, long after the lease.
    only_renewed: Option<BootTime>,
}

#[derive(Debug)]
struct Watching {
    open: bool,
    retry: BootTime,
    lock: Lock,
    /// Whether a read was answered since the last that was not.
    known: bool,
}

/// The state of one node's part in the election.
#[derive(Debug)]
pub(super) struct Election {
    settings: Settings,
    session: Session,
    retired: RetiredSessions,
    watching: Watching,
    role: Role,
    /// The highest epoch that this node knows.
    epoch: u64,
    eligible: bool,
    /// Another node is better prepared.
    yielding: bool,
    /// Do not campaign before.
    not_before: BootTime,
    /// The acquisition after which the lock was let go of until another takes
    /// it.
    left_at: Option<u64>,
    /// The last successor that was seen for another node, and until when it counts.
    successor: Option<(Successor, BootTime)>,
    /// What to release with if the lock turns out to be ours although we do
    /// not lead.
    unclaimed_flags: u64,
    stopping: bool,
    commands: Vec<Command>,
}

impl Election {
    pub(super) fn new(settings: Settings, epoch: u64) -> Self {
        Self {
            settings,
            session: Session::None {
                retry: BootTime::default(),
            },
            retired: RetiredSessions::default(),
            watching: Watching {
                open: false,
                retry: BootTime::default(),
                lock: Lock::default(),
                known: false,
            },
            role: Role::Follower(Campaign::Idle),
            epoch,
            eligible: false,
            yielding: false,
            not_before: BootTime::default(),
            left_at: None,
            successor: None,
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
        match &self.session {
            Session::Held { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether Consul has yet to hear that a session is let go of.
    pub(super) fn is_releasing(&self) -> bool {
        self.retired.is_any_ending()
    }

    /// Takes in what happened by `now`, and says what to do.
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
            Event::EpochSeen(epoch) => {
                self.epoch = self.epoch.max(epoch);
                if let Role::Leader(tenure) = &self.role
                    && tenure.epoch < epoch
                {
                    self.step_down(now, Loss::Outrun { epoch }, None);
                }
            }
            Event::Eligible(eligible) => {
                // There is no reason any more to leave the lock to others.
                if eligible {
                    self.not_before = now;
                }
                self.eligible = eligible;
            }
            Event::Yielding(yielding) => self.yielding = yielding,
            Event::StepDown {
                epoch,
                stay_out,
                until_taken,
                to,
            } => {
                if let Role::Leader(tenure) = &self.role
                    && tenure.epoch == epoch
                {
                    self.leave_to_others(now, stay_out, until_taken);
                    self.step_down(now, Loss::Ordered, to);
                }
            }
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
        let session = match &self.session {
            Session::None { retry } if !self.stopping => Some(*retry),
            Session::Held {
                renew,
                renewing: false,
                ..
            } => Some(*renew),
            _ => None,
        };
        let watch = (!self.watching.open && !self.stopping).then_some(self.watching.retry);
        let role = match &self.role {
            Role::Leader(tenure) => Some(tenure.next_proof),
            Role::Follower(Campaign::Idle) => self.next_campaign(),
            Role::Follower(_) => None,
        };
        [session, watch, role].into_iter().flatten().min()
    }

    /// When an idle follower has something to do, given what it knows.
    fn next_campaign(&self) -> Option<BootTime> {
        if !matches!(self.session, Session::Held { .. }) {
            return None;
        }
        let is_free = self.watching.lock.holder().is_none();
        (is_free && self.may_campaign()).then_some(self.not_before)
    }

    fn session_created(&mut self, now: BootTime, created: Option<String>) {
        // An answer that comes again may name one that was let go of.
        let is_retired = created.as_ref().is_some_and(|id| self.retired.contains(id));
        if !matches!(self.session, Session::Creating) || is_retired {
            return;
        }
        self.session = match created {
            Some(id) => Session::Held {
                id,
                renew: now + RENEWAL_INTERVAL,
                renewing: false,
            },
            None => Session::None {
                retry: now + self.retry(),
            },
        };
    }

    fn renewed(&mut self, now: BootTime, session: &str, exists: Option<bool>) {
        let Session::Held {
            id,
            renew,
            renewing,
        } = &mut self.session
        else {
            return;
        };
        if id != session {
            return;
        }
        *renewing = false;
        match (exists, &mut self.role) {
            (None, role) => {
                *renew = now + RETRY_INTERVAL;
                if let Role::Leader(tenure) = role {
                    tenure.only_renewed = None;
                }
            }
            (Some(true), Role::Leader(tenure)) if now >= tenure.until => {
                *renew = now + UNPROVEN_RENEWAL_INTERVAL;
                if now < tenure.until + UNPROVEN_LIMIT {
                    return;
                }
                let since = *tenure.only_renewed.get_or_insert(now);
                if now >= since + RENEWED_LIMIT {
                    self.leave_to_others(now, UNPROVEN_STAY_OUT, true);
                    self.step_down(now, Loss::Unproven, None);
                }
            }
            (Some(true), _) => *renew = now + RENEWAL_INTERVAL,
            // It may be told from the past, so the lock itself is looked at.
            (Some(false), Role::Leader(tenure)) => {
                *renew = now + RETRY_INTERVAL;
                tenure.only_renewed = None;
                tenure.next_proof = now;
            }
            (Some(false), Role::Follower(_)) => self.end_session(now),
        }
    }

    /// Stays out for so long, or until another has taken the lock.
    fn leave_to_others(&mut self, now: BootTime, stay_out: Duration, until_taken: bool) {
        if let Role::Leader(tenure) = &self.role {
            self.left_at = until_taken.then_some(tenure.modify_index);
            self.not_before = self.not_before.max(now + stay_out);
        }
    }

    fn watched(&mut self, now: BootTime, lock: Option<Lock>) {
        self.watching.open = false;
        let Some(lock) = lock else {
            self.watching.retry = now + self.retry();
            self.watching.known = false;
            return;
        };
        self.watching.retry = now;
        self.watching.known = true;
        if let Role::Leader(tenure) = &self.role {
            // An older answer may come from before we took the lock.
            let is_later = lock.index > tenure.modify_index;
            if is_later && !self.shows_tenure(&lock) {
                self.lose_to(now, &lock);
            }
        }
        let is_taken = |before| {
            let taken = lock.key.as_ref().filter(|key| key.session.is_some());
            taken.is_some_and(|key| key.modify_index > before)
        };
        if self.left_at.is_some_and(is_taken) {
            self.left_at = None;
            self.not_before = now;
        }
        self.see(lock);
    }

    fn see(&mut self, lock: Lock) {
        if let Some(holder) = lock.holder() {
            self.commands.extend(self.retired.seen_holding(holder));
        }
        if self.watching.lock.key != lock.key {
            self.commands.push(Command::Show(lock.clone()));
        }
        self.watching.lock = lock;
    }

    fn looked(&mut self, now: BootTime, looked: Option<Looked>) {
        if !matches!(self.role, Role::Follower(Campaign::Looking)) {
            return;
        }
        self.role = Role::Follower(Campaign::Idle);
        let Some(Looked {
            lock,
            epoch,
            successor,
        }) = looked
        else {
            self.not_before = self.not_before.max(now + self.retry());
            return;
        };
        let is_behind = epoch.value < self.epoch;
        if is_behind {
            let behind = Command::EpochWasBehind {
                consul: epoch.value,
                known: self.epoch,
            };
            self.commands.push(behind);
        }
        self.epoch = self.epoch.max(epoch.value);
        let step = if is_behind { self.settings.leap } else { 1 };
        let next_epoch = self.epoch.saturating_add(step);
        if lock.holder().is_some() {
            // Held: by us without our knowing, or by another; the watch may lag.
            self.not_before = self.not_before.max(now + SHORT_RETRY_INTERVAL);
            self.see(lock);
            return;
        }
        let successor_index = successor.as_ref().map(|successor| successor.modify_index);
        if let Some(until) = successor.and_then(|successor| self.held_back(now, successor)) {
            self.not_before = self.not_before.max(until);
            return;
        }
        let Session::Held { id, .. } = &self.session else {
            return;
        };
        let found = Found {
            flags: lock.key.as_ref().map_or(0, |key| key.flags),
        };
        let take = Take {
            session: id.clone(),
            expected: lock.key.as_ref().map(|key| key.modify_index),
            epoch: next_epoch,
            epoch_index: epoch.modify_index,
            successor_index,
            flags: self.flags_after(found),
        };
        let attempt = Attempt {
            sent: now,
            session: id.clone(),
            epoch: next_epoch,
            found,
        };
        self.unclaimed_flags = found.flags;
        self.commands.push(Command::Take { sent: now, take });
        self.role = Role::Follower(Campaign::Taking(attempt));
    }

    /// Until when the lock is to be left to the node that was wished for, if
    /// that is another one: a while from when the successor was first seen.
    fn held_back(&mut self, now: BootTime, successor: Successor) -> Option<BootTime> {
        if successor.node == self.settings.node {
            return None;
        }
        let until = match &self.successor {
            Some((known, until)) if *known == successor => *until,
            _ => now + SUCCESSOR_HEAD_START,
        };
        self.successor = Some((successor, until));
        (now < until).then_some(until)
    }

    /// What the lock says while we hold it: our lease in milliseconds. Should
    /// we vanish before our own wait is over, whoever comes next must still
    /// wait out the holder before us.
    fn flags_after(&self, found: Found) -> u64 {
        let lease = self.settings.lease.max(found.lease());
        u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn took(&mut self, now: BootTime, asked: BootTime, taken: Taken) {
        let before = std::mem::replace(&mut self.role, Role::Follower(Campaign::Idle));
        let Attempt {
            sent,
            session,
            epoch,
            found,
        } = match before {
            Role::Follower(Campaign::Taking(attempt)) if attempt.sent == asked => attempt,
            other => {
                self.role = other;
                return;
            }
        };
        let is_ours = matches!(&self.session, Session::Held { id, .. } if *id == session);
        match taken {
            // The session was let go of meanwhile, and is being ended.
            Taken::Won { .. } if !is_ours => self.epoch = self.epoch.max(epoch),
            Taken::Won { modify_index } => {
                self.epoch = self.epoch.max(epoch);
                let wait = if found.is_clean() {
                    Duration::ZERO
                } else {
                    self.settings.lease.max(found.lease()) * 5 / 4
                };
                let (from, until) = (now + wait, sent + self.settings.lease);
                let next_proof = now + self.settings.lease / 3;
                let open_proofs = 0;
                self.role = Role::Leader(Tenure {
                    epoch,
                    session,
                    modify_index,
                    flags: self.flags_after(found),
                    found,
                    from,
                    until,
                    next_proof,
                    open_proofs,
                    only_renewed: None,
                });
                self.commands.push(Command::Lead { epoch, from, until });
                if self.stopping || !self.eligible {
                    self.step_down(now, Loss::Unable, None);
                }
            }
            Taken::Lost => self.not_before = self.not_before.max(now + SHORT_RETRY_INTERVAL),
            Taken::InvalidSession if is_ours => self.end_session(now),
            Taken::InvalidSession => {}
            Taken::Denied => self.not_before = self.not_before.max(now + DENIED_RETRY_INTERVAL),
            Taken::Unknown => self.not_before = self.not_before.max(now + self.retry()),
        }
    }

    fn proved(&mut self, now: BootTime, epoch: u64, sent: BootTime, lock: Option<Lock>) {
        let Role::Leader(tenure) = &mut self.role else {
            return;
        };
        if tenure.epoch != epoch {
            return;
        }
        tenure.open_proofs = tenure.open_proofs.saturating_sub(1);
        let Some(lock) = lock else {
            // While there is a lease to save, try again soon.
            let wait = if now < tenure.until {
                SHORT_RETRY_INTERVAL
            } else {
                RETRY_INTERVAL + self.settings.jitter
            };
            tenure.next_proof = tenure.next_proof.min(now + wait);
            return;
        };
        if !self.shows_tenure(&lock) {
            self.lose_to(now, &lock);
            return;
        }
        let until = sent + self.settings.lease;
        let Role::Leader(tenure) = &mut self.role else {
            return;
        };
        tenure.only_renewed = None;
        if until > tenure.until {
            tenure.until = until;
            self.commands.push(Command::Extend { until });
        }
    }

    fn released(&mut self, now: BootTime, of: &str) {
        match &self.role {
            Role::Follower(Campaign::Releasing { session }) if session == of => {}
            _ => return,
        }
        self.role = Role::Follower(Campaign::Idle);
        self.not_before = self.not_before.max(now + SHORT_RETRY_INTERVAL);
        // The release may still be on its way, or come again, and it names
        // only the session: under the same one it could free a lock that is
        // won later.
        if self.session() == Some(of) {
            self.end_session(now + self.retry());
        }
    }

    /// Lets go of the session, for another one from then on.
    fn end_session(&mut self, retry: BootTime) {
        if let Session::Held { id, .. } = &mut self.session {
            let id = std::mem::take(id);
            self.commands.push(self.retired.retire(id));
            self.session = Session::None { retry };
        }
    }

    /// Whether the read shows the very acquisition of this tenure.
    fn shows_tenure(&self, lock: &Lock) -> bool {
        let Role::Leader(tenure) = &self.role else {
            return false;
        };
        lock.key.as_ref().is_some_and(|key| {
            key.modify_index == tenure.modify_index && key.session.as_ref() == Some(&tenure.session)
        })
    }

    /// Ends the tenure for what a read shows.
    fn lose_to(&mut self, now: BootTime, lock: &Lock) {
        let Role::Leader(tenure) = &self.role else {
            return;
        };
        let loss = Loss::shown_by(lock, &tenure.session, tenure.flags);
        if let Session::Held { renew, .. } = &mut self.session {
            // It may be for the session: ask at once.
            *renew = now;
        }
        self.lose(now, loss);
    }

    /// Ends the tenure, if there is one.
    fn lose(&mut self, now: BootTime, loss: Loss) {
        if let Role::Leader(tenure) = &self.role {
            // Once its own wait is over, nobody before us can be at work, and
            // the lease is revoked before any release: the lock is clean.
            // Until then the holder before us may still acknowledge, so
            // whoever is next must find what we found.
            let waited = now >= tenure.from;
            self.unclaimed_flags = if waited { CLEAN } else { tenure.found.flags };
            self.commands.push(Command::Lose { loss });
            self.role = Role::Follower(Campaign::Idle);
        }
    }

    fn step_down(&mut self, now: BootTime, loss: Loss, to: Option<String>) {
        if matches!(self.role, Role::Leader(_)) {
            self.lose(now, loss);
            self.release(to);
        }
    }

    fn retry(&self) -> Duration {
        RETRY_INTERVAL + self.settings.jitter
    }

    fn release(&mut self, successor: Option<String>) {
        if let Session::Held { id, .. } = &self.session {
            let session = id.clone();
            let release = Command::Release {
                session: session.clone(),
                flags: self.unclaimed_flags,
                successor,
            };
            self.commands.push(release);
            self.role = Role::Follower(Campaign::Releasing { session });
        }
    }

    const fn may_campaign(&self) -> bool {
        self.eligible && !self.yielding && !self.stopping && self.watching.known
    }

    /// Starts what is due.
    fn advance(&mut self, now: BootTime) {
        self.advance_session(now);
        if !self.watching.open && !self.stopping && now >= self.watching.retry {
            self.watching.open = true;
            // After a read without an answer nothing is waited for: the index
            // may be of a state that Consul lost, or the change already there.
            let known = self.watching.known;
            let index = if known { self.watching.lock.index } else { 0 };
            self.commands.push(Command::Watch { index });
        }
        match &mut self.role {
            Role::Leader(tenure) => {
                if now >= tenure.next_proof {
                    tenure.next_proof = now + self.settings.lease / 3;
                    if tenure.open_proofs < MAX_OPEN_PROOFS {
                        tenure.open_proofs += 1;
                        self.commands.push(Command::Prove {
                            epoch: tenure.epoch,
                            sent: now,
                        });
                    }
                }
            }
            Role::Follower(Campaign::Idle) => self.advance_campaign(now),
            Role::Follower(_) => {}
        }
    }

    fn advance_session(&mut self, now: BootTime) {
        match &mut self.session {
            Session::None { retry } if !self.stopping && now >= *retry => {
                self.session = Session::Creating;
                self.commands.push(Command::CreateSession);
            }
            Session::Held {
                id,
                renew,
                renewing,
            } if !*renewing && now >= *renew => {
                *renewing = true;
                self.commands.push(Command::Renew {
                    session: id.clone(),
                });
            }
            _ => {}
        }
    }

    fn advance_campaign(&mut self, now: BootTime) {
        let Session::Held { id, .. } = &self.session else {
            let has_none = matches!(self.session, Session::None { .. });
            if self.stopping && has_none && !self.retired.is_any_ending() {
                self.commands.push(Command::Finished);
            }
            return;
        };
        if self.stopping {
            self.end_session(now);
            return;
        }
        if self.watching.lock.is_held_by(id) {
            // Taken without our hearing of it, or kept when we let go.
            self.release(None);
        } else if now >= self.not_before
            && self.may_campaign()
            && self.watching.lock.holder().is_none()
        {
            self.role = Role::Follower(Campaign::Looking);
            self.commands.push(Command::Look);
        }
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
