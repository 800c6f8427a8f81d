//! What the coordinator knows, and every rule of how it changes: plain data,
//! without I/O, clock or random numbers. Callers say what time it is.
//!
//! Public so that a simulation can run on the rules that the coordinator
//! serves. One step of a simulated Consul is:
//!
//! 1. call a method of [`Store`] that reads or writes, with the current
//!    [`Moment`];
//! 2. take [`Store::changes`], and repeat each waiting read whose
//!    [`Snapshot::interest`] they concern ([`Changes::concerns`]);
//! 3. end the sessions that [`SessionTtls::take_due`] returns with
//!    [`Store::destroy_session`].
//!
//! A restart is [`Store::restore`] with what [`Store::saved`] returned for each
//! key of [`Changes::keys_to_save`].
//!
//! Each change takes the next index, as an entry of Consul's log would. Each
//! table has a file of its own; [`Store`] owns them and gives a change its
//! index.

mod catalog;
mod change;
mod check;
mod entry;
mod kv;
mod moment;
mod refusal;
mod saved;
mod service;
mod session;
mod session_ttls;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;
mod txn;
mod weight;
#[cfg(test)]
mod weight_tests;
mod write;

pub use change::{Changes, Interest};
pub use check::{Check, CheckStatus, NewCheck};
pub use entry::{Draft, Entry};
pub use moment::Moment;
pub use refusal::Refusal;
pub use saved::{Held, Saved, SavedKey};
pub use service::{NewService, Service, Weights};
pub use session::{Behavior, NewSession, ServiceCheck, Session};
pub use session_ttls::SessionTtls;
pub use snapshot::Snapshot;
pub use txn::{Operation, OperationError, OperationResult, Verb};
pub use weight::RESULTS_MAX;
pub use write::Put;

use std::sync::Arc;

use catalog::Catalog;
use kv::Kv;
use sessions::Sessions;
use write::Write;

/// The index of a store that nothing was ever written to.
const FIRST_INDEX: u64 = 10;

/// The whole state.
#[derive(Debug)]
pub struct Store {
    /// The index of the latest change.
    index: u64,
    kv: Kv,
    sessions: Sessions,
    catalog: Catalog,
    changes: Changes,
}

impl Store {
    /// An empty store, on the node with this name.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self::restore(node, Saved::default())
    }

    /// Restores what was saved, on the node with this name. Sessions are not
    /// saved: their locks are released or deleted, as each session's
    /// [`Behavior`] says.
    #[must_use]
    pub fn restore(node: &str, saved: Saved) -> Self {
        // There may have been sessions until the restart.
        let sessions = Sessions::starting_at(saved.index);
        let index = saved.index.max(FIRST_INDEX);
        let (kv, held) = Kv::restore(saved);
        let mut store = Self {
            index,
            kv,
            sessions,
            catalog: Catalog::new(node, index),
            changes: Changes::default(),
        };
        let mut write = store.write();
        for (key, behavior) in held {
            write.release(&key, behavior);
        }
        store.settle();
        store
    }

    /// The index of the latest change.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns what changed since the last call.
    #[must_use]
    pub fn changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Starts a change of keys and sessions.
    const fn write(&mut self) -> Write<'_> {
        Write {
            index: self.index + 1,
            kv: &mut self.kv,
            sessions: &mut self.sessions,
            changes: &mut self.changes,
        }
    }

    /// Ends a change. The index stays if nothing has changed.
    fn settle(&mut self) {
        if self.changes.settle() {
            self.index += 1;
        }
        for key in self.kv.forget_old_deletions() {
            self.changes.forgotten(key);
        }
    }
}

/// Keys.
impl Store {
    /// Reads a key.
    #[must_use]
    pub fn key(&self, key: &str) -> Snapshot<Option<Entry>> {
        self.kv.snapshot_key(key)
    }

    /// Reads all keys with this prefix, in order.
    #[must_use]
    pub fn keys_under(&self, prefix: &str) -> Snapshot<Vec<(Arc<str>, Arc<Entry>)>> {
        self.kv.snapshot_under(prefix)
    }

    /// The bytes that a key takes; 0 if it does not exist.
    #[must_use]
    pub fn weight_of(&self, key: &str) -> usize {
        let entry = self.kv.get(key);
        entry.map_or(0, |entry| weight::of_entry(key, entry))
    }

    /// The bytes that the keys with this prefix take, counted until they are
    /// more than `most`.
    #[must_use]
    pub fn weight_under(&self, prefix: &str, most: usize) -> usize {
        self.kv.weight_under(prefix, most)
    }

    /// The key as it has to be saved.
    #[must_use]
    pub fn saved(&self, key: &str) -> SavedKey {
        let behavior_of = |id: &str| self.sessions.get(id).map(|session| session.behavior);
        self.kv.saved(key, behavior_of)
    }

    /// The highest index among the deletions that are no longer remembered.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.kv.forgotten()
    }

    /// Writes a key if the condition holds, and returns whether it did.
    ///
    /// # Errors
    /// The condition names no session, or one that does not exist; or the keys
    /// would take too much memory.
    pub fn put(
        &mut self,
        now: Moment,
        key: &str,
        draft: Draft,
        how: &Put,
    ) -> Result<bool, Refusal> {
        let written = self.write().put(now, key, draft, how);
        self.settle();
        written
    }

    /// Deletes a key; with `cas`, only if that is the index of its latest
    /// write. Returns whether the key does not exist afterwards.
    pub fn delete(&mut self, key: &str, cas: Option<u64>) -> bool {
        let mut write = self.write();
        let is_gone = match cas {
            Some(index) => write.remove_cas(key, index),
            None => {
                write.remove(key);
                true
            }
        };
        self.settle();
        is_gone
    }

    /// Deletes all keys with this prefix.
    pub fn delete_under(&mut self, prefix: &str) {
        self.write().remove_under(prefix);
        self.settle();
    }

    /// Carries out all operations as one change, or none.
    ///
    /// # Errors
    /// Names each operation that failed.
    pub fn transact(
        &mut self,
        now: Moment,
        operations: &[Operation],
    ) -> Result<Vec<OperationResult>, Vec<OperationError>> {
        let results = txn::transact(&mut self.write(), now, operations)?;
        self.settle();
        Ok(results)
    }
}

/// Sessions.
impl Store {
    /// Creates a session.
    ///
    /// # Errors
    /// A check that the session names does not exist or is critical, or the
    /// sessions would take too much memory.
    pub fn create_session(&mut self, session: NewSession) -> Result<(), Refusal> {
        for check in session.check_ids() {
            match self.catalog.check(check).map(|check| check.status) {
                None => return Err(Refusal::UnknownCheck(check.to_owned())),
                Some(CheckStatus::Critical) => {
                    return Err(Refusal::CriticalCheck(check.to_owned()));
                }
                Some(CheckStatus::Passing | CheckStatus::Warning) => {}
            }
        }
        self.sessions.insert(session, self.index + 1)?;
        self.changes.sessions();
        self.settle();
        Ok(())
    }

    /// Reads a session.
    ///
    /// # Errors
    /// The id does not have the length of a UUID.
    pub fn session(&self, id: &str) -> Result<Snapshot<Option<Session>>, Refusal> {
        let session = self.sessions.find(id)?.cloned();
        Ok(self.sessions.snapshot(session))
    }

    /// As [`Store::session`]; an id of another length finds nothing.
    #[must_use]
    pub fn session_by_id(&self, id: &str) -> Snapshot<Option<Session>> {
        self.sessions.snapshot(self.sessions.get(id).cloned())
    }

    /// The bytes that a session takes; 0 if it does not exist.
    #[must_use]
    pub fn weight_of_session(&self, id: &str) -> usize {
        self.sessions.get(id).map_or(0, weight::of_session)
    }

    /// Reads all sessions, in the order of their ids.
    #[must_use]
    pub fn sessions(&self) -> Snapshot<Vec<Session>> {
        self.sessions.snapshot(self.sessions.all())
    }

    /// The bytes that all sessions take.
    #[must_use]
    pub const fn weight_of_sessions(&self) -> usize {
        self.sessions.weight()
    }

    /// Ends a session and releases or deletes its keys. Does nothing if there
    /// is no such session.
    ///
    /// # Errors
    /// The id does not have the length of a UUID.
    pub fn destroy_session(&mut self, now: Moment, id: &str) -> Result<(), Refusal> {
        self.sessions.find(id)?;
        self.write().end_session(now, id);
        self.settle();
        Ok(())
    }
}

/// Services and checks.
impl Store {
    /// Registers a service with these checks, or replaces its registration.
    /// Checks that exist keep their status.
    ///
    /// # Errors
    /// Services and checks would take too much memory.
    pub fn register(&mut self, service: NewService, checks: Vec<NewCheck>) -> Result<(), Refusal> {
        self.catalog.admit(&service, &checks)?;
        let (index, changes) = (self.index + 1, &mut self.changes);
        self.catalog.register_service(index, changes, &service);
        for check in checks {
            self.catalog.register_check(index, changes, &service, check);
        }
        self.settle();
        Ok(())
    }

    /// Removes a service and its checks, ends the sessions that are bound to
    /// the checks, and returns the checks' ids.
    pub fn deregister(&mut self, now: Moment, id: &str) -> Vec<String> {
        let (index, changes) = (self.index + 1, &mut self.changes);
        let removed = self.catalog.deregister_service(index, changes, id);
        let removed = removed.unwrap_or_default();
        for check in &removed {
            self.write().end_sessions_bound_to(now, check);
        }
        self.settle();
        removed
    }

    /// Removes a check of a service, and ends the sessions that are bound to
    /// it.
    pub fn deregister_check(&mut self, now: Moment, id: &str) {
        let (index, changes) = (self.index + 1, &mut self.changes);
        if self.catalog.deregister_check(index, changes, id) {
            self.write().end_sessions_bound_to(now, id);
        }
        self.settle();
    }

    /// Notes the result of a check. A critical one ends the sessions that are
    /// bound to the check.
    pub fn report(&mut self, now: Moment, id: &str, status: CheckStatus, output: String) {
        let (index, changes) = (self.index + 1, &mut self.changes);
        let is_new = self.catalog.report(index, changes, id, (status, output));
        if is_new && status == CheckStatus::Critical {
            self.write().end_sessions_bound_to(now, id);
        }
        self.settle();
    }

    /// About how many bytes all services and checks take in an answer, counted
    /// until they are more than `most`.
    #[must_use]
    pub fn length_of_catalog(&self, most: usize) -> usize {
        self.catalog.length(most)
    }

    /// Reads a service by its id.
    #[must_use]
    pub fn service(&self, id: &str) -> Option<Service> {
        self.catalog.service(id).cloned()
    }

    /// Reads the services with this name, or all.
    #[must_use]
    pub fn services(&self, name: Option<&str>) -> Snapshot<Vec<Service>> {
        self.catalog.services(name)
    }

    /// Reads the instances of a service, each with its checks and those of the
    /// node.
    #[must_use]
    pub fn instances(&self, name: &str) -> Snapshot<Vec<(Service, Vec<Check>)>> {
        self.catalog.instances(name)
    }

    /// Reads the checks for which `are` returns true.
    pub fn checks(&self, are: impl Fn(&Check) -> bool) -> Snapshot<Vec<Check>> {
        self.catalog.checks(are)
    }

    /// Reads the index at which the node was registered.
    #[must_use]
    pub fn node(&self) -> Snapshot<u64> {
        self.catalog.node()
    }
}
