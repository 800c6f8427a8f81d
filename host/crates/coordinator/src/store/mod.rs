//! What the coordinator knows, and every rule of how it changes: plain data,
//! without I/O, clock or chance. Whoever calls says what time it is.
//!
//! Every change takes the next index, as an entry of Consul's log would.
//! [`Store::changes`] then says what it was, for the disk and for those who
//! wait.

mod catalog;
mod change;
mod kv;
mod refusal;
mod session;
mod txn;
mod write;

#[cfg(test)]
mod tests;

pub(super) use catalog::{Check, Service};
pub use catalog::{CheckStatus, NewCheck, NewService, Weights};
pub use change::{Changes, Interest};
pub use kv::Entry;
pub(super) use kv::{Held, Saved, SavedKey};
pub use refusal::Refusal;
pub use session::{Behavior, NewSession, ServiceCheck, Session};
pub use txn::{Operation, StepError, StepResult, Verb};
pub use write::{Draft, Put};

use std::time::Duration;

use catalog::Catalog;
use kv::Kv;
use session::Sessions;

/// A reading of some clock that never goes back.
pub type Moment = Duration;

/// The index of a store that nothing was ever written to.
const FIRST: u64 = 10;

/// The whole state.
#[derive(Debug)]
pub struct Store {
    /// Of the latest change.
    index: u64,
    kv: Kv,
    sessions: Sessions,
    catalog: Catalog,
    changes: Changes,
}

/// What a read showed, and what would show something else.
#[derive(Debug)]
pub struct Seen<T> {
    /// Of the latest change to it.
    pub index: u64,
    /// What was there.
    pub value: T,
    /// The changes that may concern it.
    pub interest: Interest,
}

impl Store {
    /// A store that nothing was ever written to, on the node of this name.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self::restore(node, Saved::default())
    }

    /// The state that was saved, without its sessions: their locks are let go
    /// of, each as its session would have.
    pub(super) fn restore(node: &str, saved: Saved) -> Self {
        // Sessions were there before, for all that is known.
        let sessions = Sessions::starting_at(saved.index);
        let index = saved.index.max(FIRST);
        let (kv, held) = Kv::restore(saved);
        let mut store = Self {
            index,
            kv,
            sessions,
            catalog: Catalog::new(node, index),
            changes: Changes::default(),
        };
        for (key, behavior) in held {
            store.let_go(&key, behavior);
        }
        store.settle();
        store
    }

    /// Of the latest change.
    pub(super) const fn index(&self) -> u64 {
        self.index
    }

    /// What changed since this was last called.
    #[must_use]
    pub fn changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// The index of the change that is being made.
    const fn step(&self) -> u64 {
        self.index + 1
    }

    /// Ends a change. One that changed nothing leaves the index as it was.
    fn settle(&mut self) {
        if self.changes.settle() {
            self.index += 1;
        }
        for key in self.kv.forget_old_deletions() {
            self.changes.forgotten(key);
        }
    }
}
