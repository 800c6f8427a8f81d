//! The table of keys, and the indexes that reads of it return.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::change::Interest;
use super::entry::Entry;
use super::saved::{Held, Saved, SavedKey};
use super::session::Behavior;
use super::snapshot::Snapshot;

/// How many deletions are remembered at least; at most twice as many.
const DELETIONS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Kv {
    entries: BTreeMap<String, Entry>,
    /// The indexes at which keys were deleted, so that a list without them has
    /// a later index than one with them.
    deleted: BTreeMap<String, u64>,
    /// The highest index among the deletions that are no longer remembered.
    forgotten: u64,
    /// The index of the latest change to any key.
    latest: u64,
    /// How to undo what a transaction has done so far.
    undo: Option<Undo>,
}

#[derive(Debug)]
struct Undo {
    latest: u64,
    before: Vec<(String, Option<Entry>, Option<u64>)>,
}

impl Kv {
    /// Returns the table, and the keys whose holders are gone.
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

    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The index of the key's latest write; 0 if the key does not exist.
    pub(super) fn modify_index(&self, key: &str) -> u64 {
        self.get(key).map_or(0, |entry| entry.modify_index)
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

    /// Returns whether the key existed.
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

    /// Starts to note what [`Kv::roll_back`] has to undo.
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

    /// Forgets the oldest deletions if there are too many, and returns their
    /// keys.
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

    pub(super) fn snapshot_key(&self, key: &str) -> Snapshot<Option<Entry>> {
        match self.get(key) {
            Some(entry) => Snapshot {
                index: entry.modify_index,
                value: Some(entry.clone()),
                interest: Interest::Key(key.to_owned()),
            },
            None => Snapshot {
                index: self.latest,
                value: None,
                interest: self.nearest_branch(key),
            },
        }
    }

    pub(super) fn snapshot_under(&self, prefix: &str) -> Snapshot<Vec<(String, Entry)>> {
        let under = self.under(prefix);
        let found: Vec<_> = under
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        Snapshot {
            index: self.index_under(prefix),
            interest: if found.is_empty() {
                self.nearest_branch(prefix)
            } else {
                Interest::Prefix(prefix.to_owned())
            },
            value: found,
        }
    }

    /// The key as it has to be saved. `behavior_of` returns a session's
    /// behavior by its id.
    pub(super) fn saved(
        &self,
        key: &str,
        behavior_of: impl FnOnce(&str) -> Option<Behavior>,
    ) -> SavedKey {
        match (self.entries.get(key), self.deleted.get(key)) {
            (Some(entry), _) => {
                let behavior = entry.session.as_deref().and_then(behavior_of);
                SavedKey::Present(entry.clone(), behavior.map_or(Held::ByNobody, Held::By))
            }
            (None, Some(index)) => SavedKey::Deleted(*index),
            (None, None) => SavedKey::Unknown,
        }
    }

    /// The index of a list: that of the latest change to a key with this
    /// prefix, deletions included.
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

    /// What a read of an absent key or an empty prefix waits for.
    ///
    /// Consul keeps its keys in a tree, and such a read waits at the nearest
    /// branch: for a change to any key that starts with the longest part that
    /// the absent key shares with an existing one.
    fn nearest_branch(&self, absent: &str) -> Interest {
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
