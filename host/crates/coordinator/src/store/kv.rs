//! The table of keys, and which index belongs to what.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{Behavior, Interest, Seen, Store};

/// Deletions that are remembered at least; twice as many at most.
const DELETIONS: usize = 4096;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// The number beside it.
    pub flags: u64,
    /// The session that holds the key.
    pub session: Option<String>,
    /// How often it was taken.
    pub lock_index: u64,
    /// The index at which it came to be.
    pub create_index: u64,
    /// The index of the latest write to it.
    pub modify_index: u64,
}

/// What is kept of the session that holds a key: what becomes of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    ByNobody,
    By(Behavior),
}

/// A key as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SavedKey {
    Present(Entry, Held),
    /// Deleted at this index.
    Deleted(u64),
    /// Neither there nor remembered.
    Unknown,
}

/// Everything that survives a restart.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// No lower one was ever given out.
    pub(crate) index: u64,
    /// The highest of the deletions that are no longer remembered.
    pub(crate) forgotten: u64,
    pub(crate) keys: Vec<(String, SavedKey)>,
}

#[derive(Debug, Default)]
pub(super) struct Kv {
    entries: BTreeMap<String, Entry>,
    /// When keys that are gone were deleted, so that a list without them has
    /// a later index than one with them.
    deleted: BTreeMap<String, u64>,
    /// The highest index that was forgotten of those.
    forgotten: u64,
    /// Of the latest change to any key.
    latest: u64,
    /// How to take back what a transaction has done so far.
    undo: Option<Undo>,
}

#[derive(Debug)]
struct Undo {
    latest: u64,
    before: Vec<(String, Option<Entry>, Option<u64>)>,
}

impl Kv {
    /// The table, and the keys whose holders are gone.
    pub(super) fn restore(saved: Saved) -> (Self, Vec<(String, Behavior)>) {
        let mut table = Self {
            forgotten: saved.forgotten,
            latest: saved.forgotten,
            ..Self::default()
        };
        let mut held = Vec::new();
        for (key, saved) in saved.keys {
            match saved {
                SavedKey::Present(entry, by) => {
                    if let Held::By(behavior) = by {
                        held.push((key.clone(), behavior));
                    }
                    table.latest = table.latest.max(entry.modify_index);
                    table.entries.insert(key, entry);
                }
                SavedKey::Deleted(index) => {
                    table.latest = table.latest.max(index);
                    table.deleted.insert(key, index);
                }
                SavedKey::Unknown => {}
            }
        }
        (table, held)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn under(&self, prefix: &str) -> impl Iterator<Item = (&String, &Entry)> {
        starting_with(&self.entries, prefix)
    }

    pub(super) fn held_by(&self, session: &str) -> Vec<String> {
        let held = |entry: &Entry| entry.session.as_deref() == Some(session);
        let keys = self.entries.iter().filter(|(_, entry)| held(entry));
        keys.map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn insert(&mut self, key: &str, entry: Entry) {
        self.note(key);
        self.latest = entry.modify_index;
        self.deleted.remove(key);
        self.entries.insert(key.to_owned(), entry);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &str, index: u64) -> bool {
        if !self.entries.contains_key(key) {
            return false;
        }
        self.note(key);
        self.latest = index;
        self.entries.remove(key);
        self.deleted.insert(key.to_owned(), index);
        true
    }

    /// From here on everything can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Undo {
            latest: self.latest,
            before: Vec::new(),
        });
    }

    pub(super) fn commit(&mut self) {
        self.undo = None;
    }

    pub(super) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        self.latest = undo.latest;
        for (key, entry, deleted) in undo.before.into_iter().rev() {
            match deleted {
                Some(index) => drop(self.deleted.insert(key.clone(), index)),
                None => drop(self.deleted.remove(&key)),
            }
            match entry {
                Some(entry) => drop(self.entries.insert(key, entry)),
                None => drop(self.entries.remove(&key)),
            }
        }
    }

    fn note(&mut self, key: &str) {
        let entry = self.entries.get(key).cloned();
        let deleted = self.deleted.get(key).copied();
        if let Some(undo) = &mut self.undo {
            undo.before.push((key.to_owned(), entry, deleted));
        }
    }

    /// Forgets the oldest deletions if there are too many: their keys.
    pub(super) fn forget_old_deletions(&mut self) -> Vec<String> {
        if self.deleted.len() < 2 * DELETIONS {
            return Vec::new();
        }
        let mut indexes: Vec<u64> = self.deleted.values().copied().collect();
        indexes.sort_unstable();
        let surplus = indexes.len() - DELETIONS;
        let last = indexes.get(surplus - 1).copied().unwrap_or_default();
        self.forgotten = self.forgotten.max(last);
        let old = self.deleted.extract_if(.., |_, index| *index <= last);
        old.map(|(key, _)| key).collect()
    }

    /// A list's index: of the latest change to a key that begins so, also of
    /// its deletion.
    fn index_under(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.latest;
        }
        let present = self.under(prefix).map(|(_, entry)| entry.modify_index);
        let deleted = starting_with(&self.deleted, prefix).map(|(_, index)| *index);
        match present.chain(deleted).max() {
            Some(index) => index.max(self.forgotten),
            None => self.latest,
        }
    }

    /// Consul keeps its keys in a tree, and who waits for what is not there
    /// waits at the nearest branch: wakes when a key changes that begins with
    /// the longest part that it shares with any key.
    fn near(&self, absent: &str) -> Interest {
        let after = (Bound::Included(absent), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Excluded(absent));
        let neighbours = [
            self.entries.range::<str, _>(after).next(),
            self.entries.range::<str, _>(before).next_back(),
        ];
        let shared = neighbours
            .into_iter()
            .flatten()
            .map(|(key, _)| {
                let same = key.bytes().zip(absent.bytes()).take_while(|(a, b)| a == b);
                same.count()
            })
            .max()
            .unwrap_or_default();
        let end = absent.floor_char_boundary(shared);
        Interest::Prefix(absent.get(..end).unwrap_or_default().to_owned())
    }
}

fn starting_with<'a, T>(
    map: &'a BTreeMap<String, T>,
    prefix: &str,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}

/// Reads.
impl Store {
    /// One key.
    #[must_use]
    pub fn key(&self, key: &str) -> Seen<Option<Entry>> {
        match self.kv.get(key) {
            Some(entry) => Seen {
                index: entry.modify_index,
                value: Some(entry.clone()),
                interest: Interest::Key(key.to_owned()),
            },
            None => Seen {
                index: self.kv.latest,
                value: None,
                interest: self.kv.near(key),
            },
        }
    }

    /// All keys that begin so, in their order.
    pub(crate) fn keys_under(&self, prefix: &str) -> Seen<Vec<(String, Entry)>> {
        let found: Vec<_> = self
            .kv
            .under(prefix)
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        Seen {
            index: self.kv.index_under(prefix),
            interest: if found.is_empty() {
                self.kv.near(prefix)
            } else {
                Interest::Prefix(prefix.to_owned())
            },
            value: found,
        }
    }

    /// The key as it has to be saved.
    pub(crate) fn saved(&self, key: &str) -> SavedKey {
        match (self.kv.entries.get(key), self.kv.deleted.get(key)) {
            (Some(entry), _) => {
                let holder = entry.session.as_deref();
                let holder = holder.and_then(|session| self.sessions.get(session));
                let held = holder.map_or(Held::ByNobody, |session| Held::By(session.behavior));
                SavedKey::Present(entry.clone(), held)
            }
            (None, Some(index)) => SavedKey::Deleted(*index),
            (None, None) => SavedKey::Unknown,
        }
    }

    /// The highest index of the deletions that are no longer remembered.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.kv.forgotten
    }
}
