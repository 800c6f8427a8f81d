//! The table of keys, and the indexes that reads of it return.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::change::Interest;
use super::entry::Entry;
use super::saved::{Held, Saved, SavedKey};
use super::session::Behavior;
use super::snapshot::Snapshot;
use super::weight;

/// How many deletions are remembered at least; at most twice as many.
const DELETIONS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Kv {
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
    /// The sum of the entries' weights, in bytes.
    weight: usize,
    /// The indexes at which keys were deleted, so that a list without them has
    /// a later index than one with them.
    deleted: BTreeMap<String, u64>,
    /// The sum of the deletions' weights, in bytes.
    deleted_weight: usize,
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
    before: Vec<(String, Option<Arc<Entry>>, Option<u64>)>,
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
                    table.set_entry(&key, Some(Arc::new(entry)));
                }
                SavedKey::Deleted(index) => {
                    table.latest = table.latest.max(index);
                    table.set_deleted(&key, Some(index));
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
        self.entries.get(key).map(Arc::as_ref)
    }

    /// The bytes that the keys take.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    #[cfg(test)]
    pub(super) const fn weight_of_deletions(&self) -> usize {
        self.deleted_weight
    }

    #[cfg(test)]
    pub(super) fn weight_of_deletions_counted(&self) -> usize {
        self.deleted
            .keys()
            .map(|key| weight::of_deletion(key))
            .sum()
    }

    /// The bytes that the keys with this prefix take, counted until they are
    /// more than `most`.
    pub(super) fn weight_under(&self, prefix: &str, most: usize) -> usize {
        let mut weights = self
            .under(prefix)
            .map(|(key, entry)| weight::of_entry(key, entry));
        weight::sum_up_to(most, &mut weights)
    }

    /// The index of the key's latest write; 0 if the key does not exist.
    pub(super) fn modify_index(&self, key: &str) -> u64 {
        self.get(key).map_or(0, |entry| entry.modify_index)
    }

    pub(super) fn under(&self, prefix: &str) -> impl Iterator<Item = (&Arc<str>, &Arc<Entry>)> {
        starting_with(&self.entries, prefix)
    }

    pub(super) fn held_by(&self, session: &str) -> Vec<String> {
        let held = |entry: &Entry| entry.session.as_deref() == Some(session);
        let keys = self.entries.iter().filter(|(_, entry)| held(entry));
        keys.map(|(key, _)| key.to_string()).collect()
    }

    pub(super) fn insert(&mut self, key: &str, entry: Entry) {
        self.note(key);
        self.latest = entry.modify_index;
        self.set_deleted(key, None);
        self.set_entry(key, Some(Arc::new(entry)));
    }

    /// Returns whether the key existed.
    pub(super) fn remove(&mut self, key: &str, index: u64) -> bool {
        if !self.entries.contains_key(key) {
            return false;
        }
        self.note(key);
        self.latest = index;
        self.set_entry(key, None);
        self.set_deleted(key, Some(index));
        true
    }

    fn set_entry(&mut self, key: &str, entry: Option<Arc<Entry>>) {
        let after = entry
            .as_ref()
            .map_or(0, |entry| weight::of_entry(key, entry));
        let before = match entry {
            Some(entry) => self.entries.insert(key.into(), entry),
            None => self.entries.remove(key),
        };
        let before = before.map_or(0, |entry| weight::of_entry(key, &entry));
        self.weight = self.weight + after - before;
    }

    fn set_deleted(&mut self, key: &str, index: Option<u64>) {
        let before = match index {
            Some(index) => self.deleted.insert(key.to_owned(), index),
            None => self.deleted.remove(key),
        };
        let weight = |is_there| {
            if is_there {
                weight::of_deletion(key)
            } else {
                0
            }
        };
        let (after, before) = (weight(index.is_some()), weight(before.is_some()));
        self.deleted_weight = self.deleted_weight + after - before;
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
            self.set_deleted(&key, deleted);
            self.set_entry(&key, entry);
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
        let is_full = self.deleted_weight > weight::DELETIONS_MAX;
        if self.deleted.len() < 2 * DELETIONS && !is_full {
            return Vec::new();
        }
        let mut newest: Vec<(u64, usize)> = self
            .deleted
            .iter()
            .map(|(key, index)| (*index, weight::of_deletion(key)))
            .collect();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        let mut weight = 0;
        let kept = newest.iter().take(DELETIONS).take_while(|(_, more)| {
            weight += more;
            weight <= weight::DELETIONS_MAX / 2
        });
        let last = newest.get(kept.count()).map_or(0, |(index, _)| *index);
        self.forgotten = self.forgotten.max(last);
        let old = self.deleted.extract_if(.., |_, index| *index <= last);
        let old: Vec<String> = old.map(|(key, _)| key).collect();
        let freed = old.iter().map(|key| weight::of_deletion(key));
        self.deleted_weight -= freed.sum::<usize>();
        old
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

    /// Shares keys and entries with the table, so that a large list is not
    /// copied.
    pub(super) fn snapshot_under(&self, prefix: &str) -> Snapshot<Vec<(Arc<str>, Arc<Entry>)>> {
        let under = self.under(prefix);
        let found: Vec<_> = under
            .map(|(key, entry)| (Arc::clone(key), Arc::clone(entry)))
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
                SavedKey::Present(
                    Entry::clone(entry),
                    behavior.map_or(Held::ByNobody, Held::By),
                )
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

fn starting_with<'a, K: Borrow<str> + Ord, T>(
    map: &'a BTreeMap<K, T>,
    prefix: &str,
) -> impl Iterator<Item = (&'a K, &'a T)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| (*key).borrow().starts_with(prefix))
}
