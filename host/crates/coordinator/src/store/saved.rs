//! What survives a restart. Sessions do not.

use super::entry::Entry;
use super::session::Behavior;

/// What is saved about the session that holds a key: what to do with the key
/// at the next start, when the session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// No session held the key.
    ByNobody,
    /// A session with this behavior held the key.
    By(Behavior),
}

/// A key as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedKey {
    /// The key exists.
    Present(Entry, Held),
    /// The key was deleted at this index.
    Deleted(u64),
    /// The key does not exist, and its deletion is no longer remembered.
    Unknown,
}

/// Everything that survives a restart.
#[derive(Debug, Default)]
pub struct Saved {
    /// An index that is at least as high as any that was given out.
    pub index: u64,
    /// The highest index among the deletions that are no longer remembered.
    pub forgotten: u64,
    /// All keys, and the deletions that are remembered.
    pub keys: Vec<(String, SavedKey)>,
}
