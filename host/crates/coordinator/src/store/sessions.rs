//! The table of sessions, and of the lock delays that ended sessions leave.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::change::Interest;
use super::moment::Moment;
use super::refusal::Refusal;
use super::session::{NewSession, Session};
use super::snapshot::Snapshot;
use super::weight;

/// The length of a UUID's text.
const ID_LENGTH: usize = 36;

#[derive(Debug)]
pub(super) struct Sessions {
    sessions: BTreeMap<String, Session>,
    /// The sum of the sessions' weights, in bytes.
    weight: usize,
    /// Until when each of these keys cannot be acquired.
    delays: HashMap<String, Moment>,
    /// The index of the latest change to any session.
    latest: u64,
}

impl Sessions {
    pub(super) fn starting_at(index: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            weight: 0,
            delays: HashMap::new(),
            latest: index,
        }
    }

    /// The bytes that the sessions take.
    pub(super) const fn weight(&self) -> usize {
        self.weight
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

    /// Refuses a session that would make them take more than they may.
    pub(super) fn insert(&mut self, session: NewSession, index: u64) -> Result<(), Refusal> {
        let after = self.weight + weight::of_session(&session);
        if after > weight::SESSIONS_MAX {
            return Err(Refusal::SessionsFull);
        }
        let session = Session {
            create_index: index,
            ..session
        };
        self.latest = index;
        self.weight = after;
        if let Some(before) = self.sessions.insert(session.id.clone(), session) {
            self.weight -= weight::of_session(&before);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str, index: u64) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        self.weight -= weight::of_session(&session);
        self.latest = index;
        Some(session)
    }

    /// Keeps the key from being acquired for this long.
    pub(super) fn delay_key(&mut self, now: Moment, key: String, delay: Duration) {
        self.delays.retain(|_, until| *until > now);
        let weights = self.delays.keys().map(|key| weight::of_deletion(key));
        if weights.sum::<usize>() + weight::of_deletion(&key) <= weight::DELAYS_MAX {
            self.delays.insert(key, now.saturating_add(delay));
        }
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
