//! A model of Consul: sessions, the lock's key, the epoch's, the wish.

use std::collections::BTreeMap;

use super::clock::{SECOND, Time};
use crate::lock::{Epoch, Key, Lock};
use crate::question::{Taken, Wish};

/// How long a Consul leader that was replaced may still answer.
pub(super) const STALE: Time = 3 * SECOND;

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) node: usize,
    pub(super) expires: Time,
}

#[derive(Debug, Default)]
pub(super) struct Consul {
    pub(super) now: Time,
    index: u64,
    key: Option<Key>,
    epoch: Epoch,
    wish: Option<Wish>,
    sessions: BTreeMap<String, Session>,
    /// Sessions that ended, and when.
    ended: BTreeMap<String, Time>,
    made: u64,
}

/// What a transaction asks to take the lock.
#[derive(Clone, Debug)]
pub(super) struct Take {
    pub(super) session: String,
    pub(super) expected: Option<u64>,
    pub(super) epoch: u64,
    pub(super) epoch_index: u64,
    pub(super) wish_index: Option<u64>,
    pub(super) flags: u64,
}

impl Consul {
    /// The TTL, as late as Consul may be with it.
    const TTL: Time = 20 * SECOND;

    pub(super) fn lock(&self) -> Lock {
        let index = self.key.as_ref().map_or(self.index, |key| key.modify_index);
        Lock {
            index: index.max(1),
            key: self.key.clone(),
        }
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn wish(&self) -> Option<Wish> {
        self.wish.clone()
    }

    pub(super) fn create_session(&mut self, node: usize) -> String {
        self.made += 1;
        let id = format!("s{}", self.made);
        let expires = self.now + Self::TTL;
        self.sessions.insert(id.clone(), Session { node, expires });
        id
    }

    /// Whether the session exists; a stale answer says so for a while longer.
    pub(super) fn renew(&mut self, id: &str, is_stale: bool) -> bool {
        if let Some(session) = self.sessions.get_mut(id) {
            session.expires = self.now + Self::TTL;
            return true;
        }
        let ended = self.ended.get(id);
        is_stale && ended.is_some_and(|ended| self.now < ended + STALE)
    }

    /// Ends a session; its lock is free at once, and says what it said.
    pub(super) fn end(&mut self, id: &str) {
        if self.sessions.remove(id).is_none() {
            return;
        }
        self.ended.insert(id.to_owned(), self.now);
        if self
            .key
            .as_ref()
            .is_some_and(|key| key.session.as_deref() == Some(id))
        {
            self.write(|key| key.session = None);
        }
    }

    /// The sessions of a node.
    pub(super) fn sessions_of(&self, node: usize) -> Vec<String> {
        let own = self.sessions.iter().filter(|(_, s)| s.node == node);
        own.map(|(id, _)| id.clone()).collect()
    }

    /// The sessions whose TTL is over.
    pub(super) fn expired(&self) -> Vec<String> {
        let over = self.sessions.iter().filter(|(_, s)| s.expires <= self.now);
        over.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn take(&mut self, take: &Take, value: &[u8]) -> Taken {
        if !self.sessions.contains_key(&take.session) {
            return Taken::InvalidSession;
        }
        let found = self.key.as_ref().map(|key| key.modify_index);
        let is_free = self.key.as_ref().is_none_or(|key| key.session.is_none());
        let wish = self.wish.as_ref().map(|wish| wish.modify_index);
        let is_wish = take.wish_index.is_none_or(|index| wish == Some(index));
        if found != take.expected
            || !is_free
            || self.epoch.modify_index != take.epoch_index
            || !is_wish
        {
            return Taken::Lost;
        }
        if take.wish_index.is_some() {
            self.wish = None;
        }
        let session = take.session.clone();
        self.key.get_or_insert_with(empty);
        self.write(|key| {
            key.session = Some(session);
            key.flags = take.flags;
            key.value = value.to_vec();
        });
        self.epoch = Epoch {
            value: take.epoch,
            modify_index: self.index,
        };
        Taken::Won {
            modify_index: self.index,
        }
    }

    pub(super) fn release(&mut self, session: &str, flags: u64) {
        if self
            .key
            .as_ref()
            .is_some_and(|key| key.session.as_deref() == Some(session))
        {
            self.write(|key| {
                key.session = None;
                key.flags = flags;
            });
        }
    }

    pub(super) fn wish_for(&mut self, node: String) {
        self.index += 1;
        let modify_index = self.index;
        self.wish = Some(Wish { node, modify_index });
    }

    /// Whoever holds the lock.
    pub(super) fn holder(&self) -> Option<String> {
        self.key.as_ref()?.session.clone()
    }

    // What people do by hand, and what may befall Consul.

    pub(super) fn delete_key(&mut self) {
        self.index += 1;
        self.key = None;
    }

    pub(super) fn overwrite_key(&mut self, flags: u64) {
        self.key.get_or_insert_with(empty);
        self.write(|key| {
            key.flags = flags;
            key.value = b"by hand".to_vec();
        });
    }

    pub(super) fn release_key(&mut self) {
        if self.key.is_some() {
            self.write(|key| {
                key.session = None;
                key.flags = 0;
            });
        }
    }

    pub(super) fn set_epoch(&mut self, value: u64) {
        self.index += 1;
        self.epoch = Epoch {
            value,
            modify_index: self.index,
        };
    }

    pub(super) fn delete_epoch(&mut self) {
        self.index += 1;
        self.epoch = Epoch::default();
    }

    /// Everything is gone, and indexes begin anew.
    pub(super) fn lose_state(&mut self) {
        *self = Self {
            now: self.now,
            index: 14,
            made: self.made,
            ..Self::default()
        };
    }

    /// Others write too.
    pub(super) const fn pass_by(&mut self, writes: u64) {
        self.index += writes;
    }

    fn write(&mut self, change: impl FnOnce(&mut Key)) {
        self.index += 1;
        if let Some(key) = &mut self.key {
            change(key);
            key.modify_index = self.index;
        }
    }
}

const fn empty() -> Key {
    Key {
        modify_index: 0,
        session: None,
        flags: 0,
        value: Vec::new(),
    }
}
