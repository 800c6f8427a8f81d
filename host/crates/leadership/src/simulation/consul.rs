//! Consul in a simulated world: the store of the embedded coordinator, and
//! what the store leaves to its callers, the TTLs of sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_consul::{Entry, Operation, Read, Rollback, TxnOutcome};
use sluice_coordinator::store::{
    self, Behavior, Changes, CheckStatus, Draft, Interest, NewCheck, NewService, NewSession, Put,
    ServiceCheck, Store, Verb,
};

use super::clock::{SECOND, Time};
use crate::assistance::{Assistance, Next};
use crate::command::Release;
use crate::consul_lock::{self, LockKeys};
use crate::lock::{Epoch, Lock, Looked};
use crate::take::{Take, Taken};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::DEFAULT_STREAM;

/// How long a Consul leader that was replaced may still answer.
pub(super) const STALE: Time = 3 * SECOND;
/// The TTL, as late as Consul may be with it.
const TTL: Time = 20 * SECOND;

pub(super) struct Consul {
    pub(super) now: Time,
    store: Store,
    keys: LockKeys,
    /// When sessions are over.
    expires: BTreeMap<String, Time>,
    /// Sessions that have ended, and when.
    ended: BTreeMap<String, Time>,
    /// Sessions that were created, and keys that others have written.
    created: u64,
}

impl Consul {
    pub(super) fn new() -> Self {
        let cluster = ClusterKeys::new("c");
        Self {
            now: 0,
            store: Store::new("consul"),
            keys: LockKeys::new(&cluster, &cluster.stream(DEFAULT_STREAM)),
            expires: BTreeMap::new(),
            ended: BTreeMap::new(),
            created: 0,
        }
    }

    const fn moment(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    // Reads.

    fn read(&self, key: &str) -> Read<Option<Entry>> {
        let seen = self.store.key(key);
        let entry = seen.value.map(|entry| Entry {
            key: key.to_owned(),
            value: entry.value.to_vec(),
            flags: entry.flags,
            session: entry.session,
            modify_index: entry.modify_index,
            create_index: entry.create_index,
        });
        Read {
            // As the HTTP routes do: 0 would not wait.
            index: seen.index.max(1),
            value: entry,
        }
    }

    pub(super) fn lock(&self) -> Lock {
        consul_lock::lock(self.read(&self.keys.leader))
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.lock().holder().map(str::to_owned)
    }

    /// What a watch of the lock waits for.
    pub(super) fn interest(&self) -> Interest {
        self.store.key(&self.keys.leader).interest
    }

    pub(super) fn epoch(&self) -> Epoch {
        consul_lock::epoch(self.read(&self.keys.epoch).value.as_ref())
    }

    pub(super) fn look(&self) -> Looked {
        let successor = self.read(&self.keys.successor).value;
        Looked {
            lock: self.lock(),
            epoch: self.epoch(),
            successor: successor.as_ref().map(consul_lock::successor),
        }
    }

    /// What has changed since this was last called.
    pub(super) fn changes(&mut self) -> Changes {
        let changes = self.store.changes();
        if changes.concerns(&Interest::Sessions) {
            self.note_ended();
        }
        changes
    }

    // Sessions.

    /// Registers the node's service if need be, and creates a session that is
    /// bound to its check; `None` if the check is critical.
    pub(super) fn create_session(&mut self, node: usize) -> Option<String> {
        let check = NewCheck {
            id: check_of(node),
            name: String::new(),
            notes: String::new(),
            status: CheckStatus::Passing,
        };
        let service = NewService {
            id: format!("c-n{node}"),
            name: "c".to_owned(),
            ..NewService::default()
        };
        self.store.register(service, vec![check]).unwrap();
        self.created += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", self.created);
        let session = NewSession {
            id: id.clone(),
            name: format!("c n{node}"),
            lock_delay: Duration::ZERO,
            behavior: Behavior::Release,
            ttl_text: String::new(),
            ttl: None,
            node_checks: None,
            service_checks: Some(vec![ServiceCheck {
                id: check_of(node),
                namespace: String::new(),
            }]),
            checks: None,
            create_index: 0,
        };
        self.store.create_session(session).ok()?;
        self.expires.insert(id.clone(), self.now + TTL);
        Some(id)
    }

    /// Whether the session exists; a stale answer says so for a while longer.
    pub(super) fn renew(&mut self, id: &str, is_stale: bool) -> bool {
        if let Some(expires) = self.expires.get_mut(id) {
            *expires = self.now + TTL;
            return true;
        }
        let ended = self.ended.get(id);
        is_stale && ended.is_some_and(|ended| self.now < ended + STALE)
    }

    /// Ends a session. Its lock is free at once and keeps its value.
    pub(super) fn destroy_session(&mut self, id: &str) {
        self.store.destroy_session(self.moment(), id).unwrap();
    }

    /// What the health check of a node says.
    pub(super) fn report(&mut self, node: usize, is_healthy: bool) {
        let status = match is_healthy {
            true => CheckStatus::Passing,
            false => CheckStatus::Critical,
        };
        let output = String::new();
        self.store
            .report(self.moment(), &check_of(node), status, output);
    }

    /// Ends the sessions whose TTL is over, and returns their ids.
    pub(super) fn expire(&mut self) -> Vec<String> {
        let over = self.expires.iter().filter(|(_, at)| **at <= self.now);
        let over: Vec<_> = over.map(|(id, _)| id.clone()).collect();
        for id in &over {
            self.destroy_session(id);
        }
        over
    }

    fn note_ended(&mut self) {
        let exists = |id: &str| matches!(self.store.session(id), Ok(seen) if seen.value.is_some());
        let gone = self.expires.extract_if(.., |id, _| !exists(id));
        self.ended.extend(gone.map(|(id, _)| (id, self.now)));
    }

    // What nodes write.

    pub(super) fn take(&mut self, take: &Take, value: &[u8]) -> Taken {
        let epoch = take.epoch.to_string();
        let keys = self.keys.clone();
        let outcome = self.transact(&keys.take(take, &epoch, value));
        consul_lock::taken(&outcome)
    }

    pub(super) fn release(&mut self, release: &Release, value: &[u8]) {
        let keys = self.keys.clone();
        self.transact(&keys.release(release, value));
    }

    /// As `LockClient::assist` does it.
    pub(super) fn assist(&mut self, assistance: &Assistance) -> bool {
        match assistance.after(self.lock()) {
            Next::Answer(answer) => answer,
            Next::Release(release, value) => {
                self.release(&release, &value);
                true
            }
        }
    }

    fn transact(&mut self, operations: &[Operation<'_>]) -> TxnOutcome {
        let steps: Vec<_> = operations.iter().map(step).collect();
        match self.store.transact(self.moment(), &steps) {
            Ok(results) => TxnOutcome::Committed {
                index: results
                    .iter()
                    .map(|result| result.entry.modify_index)
                    .max()
                    .unwrap_or_default(),
            },
            Err(errors) => {
                let texts = errors.into_iter().map(|error| error.what);
                TxnOutcome::RolledBack(Rollback::new(texts))
            }
        }
    }

    // What people do by hand, and what may happen to Consul.

    pub(super) fn delete_lock(&mut self) {
        self.store.delete(&self.keys.leader.clone(), None);
    }

    pub(super) fn overwrite_lock(&mut self, flags: u64) {
        self.put_lock(draft(b"by hand", flags), &Put::Always)
            .unwrap();
    }

    /// Releases the lock of any session, with the flags 0.
    pub(super) fn release_lock(&mut self) {
        let Some(key) = self.lock().key else { return };
        let put = key.session.map_or(Put::Always, Put::Release);
        self.put_lock(draft(&key.value, 0), &put).unwrap();
    }

    fn put_lock(&mut self, draft: Draft, put: &Put) -> Result<bool, store::Refusal> {
        let moment = self.moment();
        self.store.put(moment, &self.keys.leader, draft, put)
    }

    pub(super) fn set_epoch(&mut self, value: u64) {
        let draft = draft(value.to_string().as_bytes(), 0);
        let key = self.keys.epoch.clone();
        self.set(&key, draft);
    }

    pub(super) fn delete_epoch(&mut self) {
        self.store.delete(&self.keys.epoch.clone(), None);
    }

    pub(super) fn set_successor(&mut self, node: &str) {
        let key = self.keys.successor.clone();
        self.set(&key, draft(node.as_bytes(), 0));
    }

    /// Writes of other clients.
    pub(super) fn pass_by(&mut self, writes: u64) {
        for _ in 0..writes {
            self.created += 1;
            let value = self.created.to_string();
            self.set("others", draft(value.as_bytes(), 0));
        }
    }

    fn set(&mut self, key: &str, draft: Draft) {
        let moment = self.moment();
        self.store.put(moment, key, draft, &Put::Always).unwrap();
    }

    /// Everything is gone, and indexes start again.
    pub(super) fn lose_state(&mut self) {
        *self = Self {
            now: self.now,
            created: self.created,
            ..Self::new()
        };
    }
}

fn check_of(node: usize) -> String {
    format!("service:c-n{node}")
}

fn draft(value: &[u8], flags: u64) -> Draft {
    let value = value.to_vec().into();
    Draft { value, flags }
}

/// The store's form of a step.
fn step(operation: &Operation<'_>) -> store::Operation {
    let (verb, key) = match operation {
        Operation::CheckIndex { key, .. } => (Verb::CheckIndex, key),
        Operation::CheckNotExists { key } => (Verb::CheckNotExists, key),
        Operation::CheckSession { key, .. } => (Verb::CheckSession, key),
        Operation::Cas { key, .. } => (Verb::Cas, key),
        Operation::Set { key, .. } => (Verb::Set, key),
        Operation::DeleteCas { key, .. } => (Verb::DeleteCas, key),
        Operation::Lock { key, .. } => (Verb::Lock, key),
        Operation::Unlock { key, .. } => (Verb::Unlock, key),
    };
    let mut step = store::Operation {
        verb,
        key: (*key).to_owned(),
        draft: Draft::default(),
        index: 0,
        session: String::new(),
    };
    match *operation {
        Operation::CheckIndex { index, .. } | Operation::DeleteCas { index, .. } => {
            step.index = index;
        }
        Operation::CheckSession { session, .. } => step.session = session.to_owned(),
        Operation::Cas { value, index, .. } => {
            step.draft = draft(value, 0);
            step.index = index;
        }
        Operation::Set { value, .. } => step.draft = draft(value, 0),
        Operation::Lock {
            value,
            flags,
            session,
            ..
        }
        | Operation::Unlock {
            value,
            flags,
            session,
            ..
        } => {
            step.draft = draft(value, flags);
            step.session = session.to_owned();
        }
        Operation::CheckNotExists { .. } => {}
    }
    step
}
