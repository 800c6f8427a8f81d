//! The table of sessions, and of the lock delays that ended sessions leave.

use std::collections::{BTreeMap, HashMap};

use super::change::Interest;
use super::moment::Moment;
use super::refusal::Refusal;
use super::session::{NewSession, Session};
use super::snapshot::Snapshot;

/// The length of a UUID's text.
const ID_LENGTH: usize = 36;

#[derive(Debug)]
pub(super) struct Sessions {
    sessions: BTreeMap<String, Session>,
    /// Until when each of these keys cannot be acquired.
    delays: HashMap<String, Moment>,
    /// The index of the latest change to any session.
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

    /// Looks up an id that a client sent, and refuses one that is not a UUID.
    pub(super) fn find(&self, id: &str) -> Result<Option<&Session>, Refusal> {
        match id.len() {
            ID_LENGTH => Ok(self.get(id)),
            _ => Err(Refusal::SessionId),
        }
    }

    pub(super) fn all(&self) -> Vec<Session> {
        self.sessions.values().cloned().collect()
    }

    pub(super) fn bound_to(&self, check: &str) -> Vec<String> {
        let sessions = self.sessions.values();
        let bound = sessions.filter(|session| session.is_bound_to(check));
        bound.map(|session| session.id.clone()).collect()
    }

    pub(super) fn insert(&mut self, session: NewSession, index: u64) {
        let session = Session {
            create_index: index,
            ..session
        };
        self.latest = index;
        self.sessions.insert(session.id.clone(), session);
    }

    pub(super) fn remove(&mut self, id: &str, index: u64) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        self.latest = index;
        Some(session)
    }

    pub(super) fn delay_key(&mut self, key: String, until: Moment) {
        self.delays.insert(key, until);
    }

    /// Whether a lock delay still keeps the key from being acquired.
    pub(super) fn is_delayed(&mut self, now: Moment, key: &str) -> bool {
        self.delays.retain(|_, until| *until > now);
        self.delays.contains_key(key)
    }

    pub(super) fn snapshot<T>(&self, value: T) -> Snapshot<T> {
        Snapshot {
            index: self.latest,
            value,
            interest: Interest::Sessions,
        }
    }
}
