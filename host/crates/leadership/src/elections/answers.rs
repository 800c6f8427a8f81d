//! What the elections make of answers about the session and of reads of the locks.

use super::Elections;
use super::lock_session::LockSession;
use crate::event::Proof;
use crate::intervals::{RENEWAL_INTERVAL, RETRY_INTERVAL};
use crate::watching::{Seen, Watching};
use sluice_types::clock::BootTime;

/// The session.
impl Elections {
    pub(super) fn session_created(&mut self, now: BootTime, created: Option<String>) {
        // A repeated answer may name a session that was given up.
        let is_retired = created.as_ref().is_some_and(|id| self.retired.contains(id));
        if matches!(self.session, LockSession::Creating) && !is_retired {
            self.session.created(now, created, now + self.retry());
            self.tell_session();
        }
    }

    /// Gives up the session. The next one is created from `retry` on.
    pub(super) fn retire_session(&mut self, retry: BootTime) {
        if let Some(id) = self.session.retire(retry) {
            self.commands.push(self.retired.retire(id));
            self.tell_session();
        }
    }

    fn tell_session(&mut self) {
        let session = self.session.id();
        for election in self.streams.values_mut() {
            election.set_session(session.map(str::to_owned));
        }
    }

    pub(super) fn renewed(&mut self, now: BootTime, session: &str, exists: Option<bool>) {
        if !self.session.renewal_ended(session) {
            return;
        }
        let mut next: Option<BootTime> = None;
        for stream in self.names() {
            self.with(now, &stream, |election| {
                if let Some(renewal) = election.renewed(now, exists) {
                    let earlier = next.map_or(renewal.next, |next| next.min(renewal.next));
                    next = Some(earlier);
                }
            });
        }
        match (next, exists) {
            (Some(next), _) => self.session.renew_at(next),
            (None, None) => self.session.renew_at(now + RETRY_INTERVAL),
            (None, Some(true)) => self.session.renew_at(now + RENEWAL_INTERVAL),
            (None, Some(false)) => self.retire_session(now),
        }
    }
}

/// Reads of the locks.
impl Elections {
    pub(super) fn watched(&mut self, now: BootTime, watching: Watching, seen: Option<Seen>) {
        let retry = now + self.retry();
        let Some(watch) = self.watches.get_mut(&watching) else {
            return;
        };
        let Some(seen) = seen else {
            watch.unanswered(retry);
            return;
        };
        watch.answered(now, seen.index);
        for stream in self.names() {
            if Watching::of(&stream) == watching {
                let lock = seen.lock(&stream);
                self.with(now, &stream, |election| election.watched(now, lock));
                self.seen(&stream);
            }
        }
    }

    pub(super) fn proved(&mut self, now: BootTime, sent: BootTime, proofs: Vec<Proof>) {
        self.proofs.ended();
        for Proof {
            stream,
            epoch,
            lock,
        } in proofs
        {
            self.with(now, &stream, |election| {
                election.proved(now, epoch, sent, lock);
            });
        }
    }
}
