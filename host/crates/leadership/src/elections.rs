//! The elections of all streams of one node, and what they share: the session
//! that holds their locks, one read that proves all of them, one watch of their
//! keys, and the counter of epochs. Like [`Election`], this has no I/O and no
//! clock: it is told an [`Event`], and answers with [`Command`]s.
//!
//! - One session holds all locks of a node: they depend on the same process and
//!   on the same agent, and a session costs a request to renew.
//! - While any lock is held, the session is not given up, whatever a renewal
//!   says: the locks are read, and show whether it is gone.
//! - Every session that is given up is ended.

mod answers;
mod isolation;
mod lock_session;
mod lock_watch;
mod proofs;
mod retired_sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::command::Command;
use super::election::{Election, Wishes};
use super::event::{Event, StreamEvent};
use super::settings::Settings;
use super::stream_name::StreamName;
use super::watching::Watching;
use crate::intervals::RETRY_INTERVAL;
use isolation::{Due, Isolation};
use lock_session::LockSession;
use lock_watch::LockWatch;
use proofs::Proofs;
use retired_sessions::RetiredSessions;
use sluice_types::clock::BootTime;

/// One node's part in the elections of its streams.
#[derive(Debug)]
pub(super) struct Elections {
    settings: Settings,
    session: LockSession,
    retired: RetiredSessions,
    proofs: Proofs,
    isolation: Isolation,
    watches: BTreeMap<Watching, LockWatch>,
    streams: BTreeMap<StreamName, Election>,
    /// Streams that this node is about to leave.
    leaving: BTreeSet<StreamName>,
    /// The highest epoch that this node knows.
    epoch: u64,
    stopping: bool,
    commands: Vec<Command>,
}

impl Elections {
    /// The elections of a node that knows this epoch. It has no session and no
    /// stream yet.
    pub(super) fn new(settings: Settings, epoch: u64) -> Self {
        Self {
            settings,
            session: LockSession::None {
                retry: BootTime::default(),
            },
            retired: RetiredSessions::default(),
            proofs: Proofs::default(),
            isolation: Isolation::default(),
            watches: BTreeMap::new(),
            streams: BTreeMap::new(),
            leaving: BTreeSet::new(),
            epoch,
            stopping: false,
            commands: Vec::new(),
        }
    }

    /// Takes part in the election of this stream from now on. It is not eligible
    /// yet.
    pub(super) fn add(&mut self, stream: &StreamName) {
        let session = self.session.id().map(str::to_owned);
        let election = Election::new(self.settings.clone(), self.epoch, session);
        self.streams.insert(stream.clone(), election);
        // It may not have been left yet.
        self.leaving.remove(stream);
        self.watches.entry(Watching::of(stream)).or_default();
    }

    /// Releases the lock of this stream; then its election is over here.
    fn leave(&mut self, now: BootTime, stream: &StreamName) {
        self.with(now, stream, |election| election.stop(now));
        self.leaving.insert(stream.clone());
    }

    /// The streams that this node leads, with the epochs under which it does.
    pub(super) fn led(&self) -> impl Iterator<Item = (&StreamName, u64)> {
        let streams = self.streams.iter();
        streams.filter_map(|(name, it)| Some((name, it.tenure()?)))
    }

    /// Whether this node leads under an epoch below this one.
    pub(super) fn leads_below(&self, epoch: u64) -> bool {
        let mut tenures = self.streams.values().filter_map(Election::tenure);
        tenures.any(|tenure| tenure < epoch)
    }

    /// The highest epoch that is known.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The session that is held, as far as is known.
    pub(super) fn session(&self) -> Option<&str> {
        self.session.id()
    }

    /// Whether a session or a lock that was given up may still be held.
    pub(super) fn is_releasing(&self) -> bool {
        self.retired.is_any_ending() || self.streams.values().any(Election::is_releasing)
    }

    /// Handles an event that happened by `now`, and returns what to do.
    pub(super) fn handle(&mut self, now: BootTime, event: Event) -> Vec<Command> {
        match event {
            Event::Session(created) => self.session_created(now, created),
            Event::Renewed { session, exists } => self.renewed(now, &session, exists),
            Event::Destroyed { session } => self.retired.ended(&session),
            Event::Watched(watching, seen) => self.watched(now, watching, seen),
            Event::Proved { sent, proofs } => self.proved(now, sent, proofs),
            Event::SeenByOthers {
                acquisition,
                is_seen,
            } => self.seen_by_others(now, acquisition, is_seen),
            Event::EpochSeen { epoch, known } => self.epoch_seen(now, epoch, known),
            Event::EpochKnown(epoch) => self.know_epoch(epoch),
            Event::Leave(stream) => self.leave(now, &stream),
            Event::Stream(stream, event) => self.stream_event(now, &stream, event),
            Event::Shutdown => self.stop(now),
            Event::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.commands)
    }

    /// When to be called again at the latest.
    pub(super) fn wake(&self) -> Option<BootTime> {
        let session = self.session.wake(!self.stopping);
        let watches = self.watches.values().filter_map(LockWatch::wake);
        let watch = watches.min().filter(|_| !self.stopping);
        let streams = self.streams.iter();
        let streams = streams.filter_map(|(name, election)| election.wake(self.knows(name)));
        let isolation = self.isolation.wake(self.last_lease_end());
        [session, watch, self.proofs.wake(), isolation, streams.min()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the lock of this stream is known to be as it was last seen.
    fn knows(&self, stream: &StreamName) -> bool {
        let watch = self.watches.get(&Watching::of(stream));
        watch.is_some_and(LockWatch::is_known)
    }

    fn leads_any(&self) -> bool {
        self.streams.values().any(|it| it.tenure().is_some())
    }

    fn retry(&self) -> Duration {
        RETRY_INTERVAL + self.settings.jitter
    }
}

/// What is due.
impl Elections {
    /// Starts what is due.
    fn advance(&mut self, now: BootTime) {
        let session = self.session.advance(now, !self.stopping);
        self.commands.extend(session);
        if !self.stopping {
            self.advance_watches(now);
        }
        for stream in self.names() {
            let is_known = self.knows(&stream);
            self.with(now, &stream, |election| election.advance(now, is_known));
        }
        self.end_left();
        self.advance_isolation(now);
        self.advance_proofs(now);
        if self.stopping {
            self.advance_end(now);
        }
    }

    /// Ends the elections of streams that are left, once nothing of them is under way.
    fn end_left(&mut self) {
        let idle: Vec<_> = self
            .leaving
            .iter()
            .filter(|stream| self.streams.get(*stream).is_none_or(Election::is_idle))
            .cloned()
            .collect();
        for stream in idle {
            self.leaving.remove(&stream);
            self.streams.remove(&stream);
            self.commands.push(Command::Left(stream));
        }
    }

    fn advance_watches(&mut self, now: BootTime) {
        for (watching, watch) in &mut self.watches {
            if let Some(index) = watch.advance(now) {
                let watching = *watching;
                self.commands.push(Command::Watch { watching, index });
            }
        }
    }

    fn advance_proofs(&mut self, now: BootTime) {
        if !self.leads_any() {
            self.proofs.none_due();
        }
        if self.proofs.advance(now, self.settings.lease / 3) {
            let leading = self.streams.iter();
            let tenures = leading.filter_map(|(name, it)| Some((name.clone(), it.tenure()?)));
            let tenures = tenures.collect();
            self.commands.push(Command::Prove { sent: now, tenures });
        }
    }

    /// When the last of the leases ends or has ended, if this node leads.
    fn last_lease_end(&self) -> Option<BootTime> {
        let leases = self.streams.values().filter_map(Election::lease_end);
        leases.map(|(end, ..)| end).max()
    }

    fn advance_isolation(&mut self, now: BootTime) {
        match self.isolation.advance(now, self.last_lease_end()) {
            Due::Nothing => {}
            Due::Ask => {
                let leading = self.streams.iter();
                let mut leading = leading.filter_map(|(name, it)| Some((name, it.lease_end()?)));
                let asked = leading.next();
                let asked = asked.map(|(stream, (_, session, acquisition))| Command::AskOthers {
                    stream: stream.clone(),
                    session: session.to_owned(),
                    acquisition,
                });
                self.commands.extend(asked);
            }
            Due::GiveUp => {
                for stream in self.names() {
                    self.with(now, &stream, |election| election.isolated(now));
                }
            }
        }
    }

    fn seen_by_others(&mut self, now: BootTime, acquisition: u64, is_seen: bool) {
        let mut leases = self.streams.values().filter_map(Election::lease_end);
        let is_current = leases.any(|(_, _, held)| held == acquisition);
        if self.isolation.answered(now, is_seen && is_current) {
            self.proofs.due_by(now);
        }
    }

    /// Ends the session once no lock is held any more, and then all.
    fn advance_end(&mut self, now: BootTime) {
        if !self.streams.values().all(Election::is_idle) {
            return;
        }
        if self.session.id().is_some() {
            self.retire_session(now);
        } else if matches!(self.session, LockSession::None { .. }) && !self.retired.is_any_ending()
        {
            self.commands.push(Command::Finished);
        }
    }
}

/// Streams.
impl Elections {
    fn names(&self) -> Vec<StreamName> {
        self.streams.keys().cloned().collect()
    }

    fn stream_event(&mut self, now: BootTime, stream: &StreamName, event: StreamEvent) {
        let is_read = matches!(event, StreamEvent::Looked(Some(_)));
        self.with(now, stream, |election| election.handle(now, event));
        if is_read {
            self.seen(stream);
        }
    }

    /// The lock was read. A session that was given up and holds it is ended again.
    fn seen(&mut self, stream: &StreamName) {
        let election = self.streams.get(stream);
        if let Some(holder) = election.and_then(Election::holder) {
            self.commands.extend(self.retired.seen_holding(holder));
        }
    }

    /// Changes the election of a stream, and takes over what follows.
    fn with(&mut self, now: BootTime, stream: &StreamName, change: impl FnOnce(&mut Election)) {
        let Some(election) = self.streams.get_mut(stream) else {
            return;
        };
        change(election);
        let (commands, wishes) = election.take_commands();
        let commands = commands.into_iter();
        let commands = commands.map(|command| Command::Stream(stream.clone(), command));
        self.commands.extend(commands);
        let epoch = election.epoch();
        self.fulfil(now, wishes);
        if epoch > self.epoch {
            self.know_epoch(epoch);
        }
    }

    fn fulfil(&mut self, now: BootTime, wishes: Wishes) {
        if let Some(renew) = wishes.renew_at {
            self.session.renew_at(renew);
        }
        if let Some(by) = wishes.prove_by {
            self.proofs.due_by(by);
        }
        if let Some((consul, known)) = wishes.behind {
            self.commands
                .push(Command::EpochWasBehind { consul, known });
        }
        if wishes.session_is_gone {
            // Leaders find out by themselves.
            match self.leads_any() {
                true => self.session.renew_at(now),
                false => self.retire_session(now),
            }
        }
    }

    fn know_epoch(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
        for election in self.streams.values_mut() {
            election.know_epoch(epoch);
        }
    }

    /// The counter was read. If it is behind what other nodes knew before, the
    /// coordinator has lost its state, and what is led under lower epochs begins again
    /// above theirs.
    fn epoch_seen(&mut self, now: BootTime, epoch: Option<u64>, known: u64) {
        let Some(epoch) = epoch else {
            return;
        };
        self.know_epoch(epoch.max(known));
        if epoch < known {
            for stream in self.names() {
                self.with(now, &stream, |election| election.outrun(now, known));
            }
        }
    }

    fn stop(&mut self, now: BootTime) {
        self.stopping = true;
        for stream in self.names() {
            self.with(now, &stream, |election| election.stop(now));
        }
    }
}

#[cfg(test)]
#[path = "elections_tests.rs"]
mod tests;
