//! What actions are asked, and what they answer.

use serde::{Deserialize, Serialize};

/// The most letters of one action.
pub(super) const LETTERS_MAX: usize = 1000;
/// The most reasons that an answer lists.
pub(super) const REASONS_MAX: usize = 20;

/// The letters that an action is about.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Chosen {
    /// At most 1000.
    pub(crate) letters: Vec<Choice>,
}

/// A letter, and the node that has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Choice {
    pub(crate) node: String,
    pub(crate) id: String,
}

/// What became of letters that were to be replayed.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Replayed {
    /// How many records the leader confirmed.
    pub(crate) confirmed: usize,
    /// The first 20 that it rejected.
    pub(crate) rejected: Vec<Rejection>,
    /// How many it rejected.
    pub(crate) rejected_total: usize,
    /// How many letters were not there any more.
    pub(crate) missing: usize,
}

/// A record that the leader rejected.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Rejection {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// How many letters were removed.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Purged {
    pub(crate) removed: u64,
}

/// What a person who rolls back has seen.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RollBack {
    /// What is to be asked for.
    pub(crate) manifest: String,
    /// Where the key was written that asks for something now; 0 if it does not.
    pub(crate) index: u64,
}

/// What is asked for now.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RolledBack {
    pub(crate) manifest: String,
}
