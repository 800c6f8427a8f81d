//! One change to keys and sessions, while it is being made.

use super::change::Changes;
use super::entry::{Draft, Entry};
use super::kv::Kv;
use super::moment::Moment;
use super::refusal::Refusal;
use super::session::Behavior;
use super::sessions::Sessions;
use super::weight;

/// The condition under which a key is written.
#[derive(Clone, Debug)]
pub enum Put {
    /// Always.
    Always,
    /// If this is the index of the key's latest write; 0: if the key does not
    /// exist.
    Cas(u64),
    /// If this session holds the key's lock, or can acquire it.
    Acquire(String),
    /// If this session holds the key's lock, which it releases.
    Release(String),
}

/// A change in progress. Everything that it writes gets the same index.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) index: u64,
    pub(super) kv: &'a mut Kv,
    pub(super) sessions: &'a mut Sessions,
    pub(super) changes: &'a mut Changes,
}

impl Write<'_> {
    /// Returns whether the key was written.
    pub(super) fn put(
        &mut self,
        now: Moment,
        key: &str,
        draft: Draft,
        how: &Put,
    ) -> Result<bool, Refusal> {
        self.admit(key, &draft, how)?;
        match how {
            Put::Always => {
                self.set(key, draft);
                Ok(true)
            }
            Put::Cas(index) => Ok(self.cas(key, draft, *index)),
            Put::Acquire(_) if self.sessions.is_delayed(now, key) => Ok(false),
            Put::Acquire(session) => self.lock(key, draft, session),
            Put::Release(session) => self.unlock(key, draft, session),
        }
    }

    /// Refuses what would make the keys take more than they may.
    fn admit(&self, key: &str, draft: &Draft, how: &Put) -> Result<(), Refusal> {
        let before = self.kv.get(key);
        let before = before.map_or(0, |entry| weight::of_entry(key, entry));
        let after = self.kv.weight() - before + weight::of_key(key, draft.value.len());
        let is_under_session = matches!(how, Put::Acquire(_) | Put::Release(_));
        match after > self.kv.weight() && after > Self::room(is_under_session) {
            true => Err(Refusal::KeysFull),
            false => Ok(()),
        }
    }

    /// What the keys may take after a write.
    pub(super) const fn room(is_under_session: bool) -> usize {
        match is_under_session {
            true => weight::KEYS_MAX + weight::KEYS_RESERVED,
            false => weight::KEYS_MAX,
        }
    }

    /// A plain write keeps the holder and resets the count of acquisitions.
    pub(super) fn set(&mut self, key: &str, draft: Draft) {
        let holder = self.kv.get(key).and_then(|entry| entry.session.clone());
        self.write(key, draft, holder, 0);
    }

    pub(super) fn cas(&mut self, key: &str, draft: Draft, index: u64) -> bool {
        let is_current = self.kv.modify_index(key) == index;
        if is_current {
            self.set(key, draft);
        }
        is_current
    }

    pub(super) fn lock(&mut self, key: &str, draft: Draft, session: &str) -> Result<bool, Refusal> {
        if session.is_empty() {
            return Err(Refusal::NoSession);
        }
        if self.sessions.find(session)?.is_none() {
            return Err(Refusal::InvalidSession(session.to_owned()));
        }
        let existing = self.kv.get(key);
        let count = existing.map_or(0, |entry| entry.lock_index);
        let count = match existing.and_then(|entry| entry.session.as_deref()) {
            None => count + 1,
            Some(holder) if holder == session => count,
            Some(_) => return Ok(false),
        };
        self.write(key, draft, Some(session.to_owned()), count);
        Ok(true)
    }

    pub(super) fn unlock(
        &mut self,
        key: &str,
        draft: Draft,
        session: &str,
    ) -> Result<bool, Refusal> {
        if session.is_empty() {
            return Err(Refusal::NoSession);
        }
        match self.kv.get(key) {
            Some(entry) if entry.session.as_deref() == Some(session) => {
                let count = entry.lock_index;
                self.write(key, draft, None, count);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        if self.kv.remove(key, self.index) {
            self.changes.key(key);
        }
    }

    /// Returns whether the key does not exist afterwards.
    pub(super) fn remove_cas(&mut self, key: &str, index: u64) -> bool {
        match self.kv.modify_index(key) {
            0 => true,
            current if current == index => {
                self.remove(key);
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove_under(&mut self, prefix: &str) {
        let under = self.kv.under(prefix);
        let keys: Vec<_> = under.map(|(key, _)| key.to_string()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// Frees or deletes a key whose holder is gone.
    pub(super) fn release(&mut self, key: &str, behavior: Behavior) {
        match (behavior, self.kv.get(key).cloned()) {
            (_, None) => {}
            (Behavior::Delete, Some(_)) => self.remove(key),
            (Behavior::Release, Some(entry)) => {
                let freed = Entry {
                    session: None,
                    modify_index: self.index,
                    ..entry
                };
                self.kv.insert(key, freed);
                self.changes.key(key);
            }
        }
    }

    /// Ends a session, if it exists, and releases its locks.
    pub(super) fn end_session(&mut self, now: Moment, id: &str) {
        let Some(session) = self.sessions.remove(id, self.index) else {
            return;
        };
        self.changes.sessions();
        for key in self.kv.held_by(id) {
            self.release(&key, session.behavior);
            if !session.lock_delay.is_zero() {
                self.sessions.delay_key(now, key, session.lock_delay);
            }
        }
    }

    pub(super) fn end_sessions_bound_to(&mut self, now: Moment, check: &str) {
        for id in self.sessions.bound_to(check) {
            self.end_session(now, &id);
        }
    }

    /// Writing what the key already holds changes nothing.
    fn write(&mut self, key: &str, draft: Draft, session: Option<String>, lock_index: u64) {
        let Draft { value, flags } = draft;
        let existing = self.kv.get(key);
        let is_same = existing.is_some_and(|entry| {
            (&entry.value, entry.flags, &entry.session, entry.lock_index)
                == (&value, flags, &session, lock_index)
        });
        if is_same {
            return;
        }
        let create_index = existing.map_or(self.index, |entry| entry.create_index);
        let entry = Entry {
            value,
            flags,
            session,
            lock_index,
            create_index,
            modify_index: self.index,
        };
        self.kv.insert(key, entry);
        self.changes.key(key);
    }
}
