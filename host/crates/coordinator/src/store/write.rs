//! Writing and deleting keys, taking and giving back their locks.

use bytes::Bytes;

use super::kv::Entry;
use super::{Behavior, Moment, Refusal, Store};

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The value.
    pub value: Bytes,
    /// The number beside it, whose meaning is up to its writer.
    pub flags: u64,
}

/// Under what condition.
#[derive(Clone, Debug)]
pub enum Put {
    /// Without a condition.
    Always,
    /// If it was last written at this index; 0: if it is absent.
    Cas(u64),
    /// If this session has the lock, or can take it.
    Acquire(String),
    /// If this session has the lock, which it gives back.
    Release(String),
}

/// Each is one change of its own.
impl Store {
    /// Whether it was written.
    ///
    /// # Errors
    /// The session does not exist.
    pub fn put(
        &mut self,
        now: Moment,
        key: &str,
        draft: Draft,
        how: &Put,
    ) -> Result<bool, Refusal> {
        let written = match how {
            Put::Always => {
                self.set(key, draft);
                Ok(true)
            }
            Put::Cas(index) => Ok(self.cas(key, draft, *index)),
            Put::Acquire(_) if self.is_delayed(now, key) => Ok(false),
            Put::Acquire(session) => self.lock(key, draft, session),
            Put::Release(session) => self.unlock(key, draft, session),
        };
        self.settle();
        written
    }

    /// Whether the key is gone; `cas`: only if it was last written then.
    pub fn delete(&mut self, key: &str, cas: Option<u64>) -> bool {
        let gone = match cas {
            Some(index) => self.remove_cas(key, index),
            None => {
                self.remove(key);
                true
            }
        };
        self.settle();
        gone
    }

    /// Deletes all keys that begin so.
    pub(crate) fn delete_under(&mut self, prefix: &str) {
        self.remove_under(prefix);
        self.settle();
    }
}

/// Parts of a change.
impl Store {
    /// A plain write keeps the holder and starts the count of its locks anew.
    pub(super) fn set(&mut self, key: &str, draft: Draft) {
        let holder = self.kv.get(key).and_then(|entry| entry.session.clone());
        self.write(key, draft, holder, 0);
    }

    pub(super) fn cas(&mut self, key: &str, draft: Draft, index: u64) -> bool {
        let is_current = self.modified(key) == index;
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
        let index = self.step();
        if self.kv.remove(key, index) {
            self.changes.key(key);
        }
    }

    pub(super) fn remove_cas(&mut self, key: &str, index: u64) -> bool {
        match self.modified(key) {
            0 => true,
            current if current == index => {
                self.remove(key);
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove_under(&mut self, prefix: &str) {
        let keys: Vec<_> = self.kv.under(prefix).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// Frees a key whose holder is gone.
    pub(super) fn let_go(&mut self, key: &str, behavior: Behavior) {
        match (behavior, self.kv.get(key).cloned()) {
            (_, None) => {}
            (Behavior::Delete, Some(_)) => self.remove(key),
            (Behavior::Release, Some(entry)) => {
                let freed = Entry {
                    session: None,
                    modify_index: self.step(),
                    ..entry
                };
                self.kv.insert(key, freed);
                self.changes.key(key);
            }
        }
    }

    /// The index at which it was last written; 0 if it is absent.
    fn modified(&self, key: &str) -> u64 {
        self.kv.get(key).map_or(0, |entry| entry.modify_index)
    }

    /// Writing what is there already changes nothing.
    fn write(&mut self, key: &str, draft: Draft, session: Option<String>, lock_index: u64) {
        let Draft { value, flags } = draft;
        let index = self.step();
        let existing = self.kv.get(key);
        let is_same = existing.is_some_and(|entry| {
            (&entry.value, entry.flags, &entry.session, entry.lock_index)
                == (&value, flags, &session, lock_index)
        });
        if is_same {
            return;
        }
        let create_index = existing.map_or(index, |entry| entry.create_index);
        let entry = Entry {
            value,
            flags,
            session,
            lock_index,
            create_index,
            modify_index: index,
        };
        self.kv.insert(key, entry);
        self.changes.key(key);
    }
}
