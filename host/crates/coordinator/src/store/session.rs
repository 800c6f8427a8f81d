//! Sessions: who may hold a lock, and what becomes of it afterwards.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{CheckStatus, Interest, Moment, Refusal, Seen, Store};

/// What becomes of a session's locks when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// The keys stay, free.
    Release,
    /// The keys go.
    Delete,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Of 36 characters.
    pub id: String,
    /// For people.
    pub name: String,
    /// How long nobody can take the locks that the session held when it ended
    /// without releasing them.
    pub lock_delay: Duration,
    /// What becomes of its locks when it ends.
    pub behavior: Behavior,
    /// The TTL as it was given; empty if there is none.
    pub ttl_text: String,
    /// The TTL. The store does not measure it: its caller destroys the session.
    pub ttl: Option<Duration>,
    /// The checks of the node that it is bound to.
    pub node_checks: Option<Vec<String>>,
    /// The checks of services that it is bound to.
    pub service_checks: Option<Vec<ServiceCheck>>,
    /// The old form of the two before.
    pub checks: Option<Vec<String>>,
    /// The index at which it came to be; the store sets it.
    pub create_index: u64,
}

/// A check of a service that a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCheck {
    /// The check.
    pub id: String,
    /// As it was given; it has no effect.
    pub namespace: String,
}

/// A session to be made, but for its index.
pub type NewSession = Session;

impl Session {
    fn bound_to(&self) -> impl Iterator<Item = &str> {
        let plain = [&self.checks, &self.node_checks];
        let plain = plain.into_iter().flatten().flatten().map(String::as_str);
        let service = self.service_checks.iter().flatten();
        plain.chain(service.map(|check| check.id.as_str()))
    }
}

#[derive(Debug)]
pub(super) struct Sessions {
    sessions: BTreeMap<String, Session>,
    /// Until when keys can not be taken whose holder went without letting go.
    delays: HashMap<String, Moment>,
    /// Of the latest change to any session.
    latest: u64,
}

impl Sessions {
    pub(super) fn starting_at(index: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            delays: HashMap::new(),
            latest: index,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// A look by a name that somebody gave.
    pub(super) fn find(&self, id: &str) -> Result<Option<&Session>, Refusal> {
        match id.len() {
            36 => Ok(self.get(id)),
            _ => Err(Refusal::SessionId),
        }
    }
}

impl Store {
    /// Makes a session.
    ///
    /// # Errors
    /// One of its checks is not there, or critical.
    pub fn create_session(&mut self, mut session: NewSession) -> Result<(), Refusal> {
        for check in session.bound_to() {
            match self.catalog.check(check).map(|check| check.status) {
                None => return Err(Refusal::UnknownCheck(check.to_owned())),
                Some(CheckStatus::Critical) => {
                    return Err(Refusal::CriticalCheck(check.to_owned()));
                }
                Some(_) => {}
            }
        }
        session.create_index = self.step();
        self.sessions.latest = self.step();
        self.sessions.sessions.insert(session.id.clone(), session);
        self.changes.sessions();
        self.settle();
        Ok(())
    }

    /// One session.
    ///
    /// # Errors
    /// That is no session's id.
    pub fn session(&self, id: &str) -> Result<Seen<Option<Session>>, Refusal> {
        let session = self.sessions.find(id)?.cloned();
        Ok(self.seen_sessions(session))
    }

    /// All sessions, by their ids.
    pub(crate) fn sessions(&self) -> Seen<Vec<Session>> {
        let all = self.sessions.sessions.values().cloned().collect();
        self.seen_sessions(all)
    }

    fn seen_sessions<T>(&self, value: T) -> Seen<T> {
        Seen {
            index: self.sessions.latest,
            value,
            interest: Interest::Sessions,
        }
    }

    /// Ends a session; one that is not there has ended.
    ///
    /// # Errors
    /// That is no session's id.
    pub fn destroy_session(&mut self, now: Moment, id: &str) -> Result<(), Refusal> {
        self.sessions.find(id)?;
        self.end_session(now, id);
        self.settle();
        Ok(())
    }

    /// Ends all sessions that are bound to a check.
    pub(super) fn end_sessions_of(&mut self, now: Moment, check: &str) {
        let bound = |session: &&Session| session.bound_to().any(|id| id == check);
        let sessions = self.sessions.sessions.values().filter(bound);
        let ids: Vec<_> = sessions.map(|session| session.id.clone()).collect();
        for id in ids {
            self.end_session(now, &id);
        }
    }

    fn end_session(&mut self, now: Moment, id: &str) {
        let Some(session) = self.sessions.sessions.remove(id) else {
            return;
        };
        self.sessions.latest = self.step();
        self.changes.sessions();
        for key in self.kv.held_by(id) {
            self.let_go(&key, session.behavior);
            if !session.lock_delay.is_zero() {
                self.sessions.delays.insert(key, now + session.lock_delay);
            }
        }
    }

    /// Whether the key can not be taken yet.
    pub(super) fn is_delayed(&mut self, now: Moment, key: &str) -> bool {
        self.sessions.delays.retain(|_, until| *until > now);
        self.sessions.delays.contains_key(key)
    }
}
