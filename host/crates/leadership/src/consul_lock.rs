//! The lock as Consul keeps it: its keys, what reads of them mean, and the
//! transactions that change them.

use super::command::Release;
use super::lock::{Epoch, Key, Lock, NO_EPOCH, Successor};
use super::take::{Take, Taken};
use sluice_consul::{Entry, Operation, Read, Refusal, TxnOutcome};
use sluice_types::keys::{ClusterKeys, StreamKeys};

/// The keys of the election.
#[derive(Clone, Debug)]
pub(super) struct LockKeys {
    /// The lock itself.
    pub(super) leader: String,
    pub(super) epoch: String,
    /// Names the node that is to lead next, if there is one.
    pub(super) successor: String,
}

impl LockKeys {
    pub(super) fn new(cluster: &ClusterKeys, stream: &StreamKeys) -> Self {
        Self {
            leader: stream.leader.clone(),
            epoch: cluster.epoch(),
            successor: stream.next.clone(),
        }
    }

    /// Takes the lock; `epoch` is the attempt's, in decimal.
    pub(super) fn take<'a>(
        &'a self,
        take: &'a Take,
        epoch: &'a str,
        value: &'a [u8],
    ) -> Vec<Operation<'a>> {
        let key = self.leader.as_str();
        let mut operations = vec![
            match take.expected {
                Some(index) => Operation::CheckIndex { key, index },
                None => Operation::CheckNotExists { key },
            },
            Operation::Cas {
                key: &self.epoch,
                value: epoch.as_bytes(),
                index: take.epoch_index,
            },
            Operation::Lock {
                key,
                value,
                flags: take.flags,
                session: &take.session,
            },
        ];
        if let Some(index) = take.successor_index {
            let key = &self.successor;
            operations.push(Operation::DeleteCas { key, index });
        }
        operations
    }

    /// Releases one acquisition, and names a successor if there is one.
    pub(super) fn release<'a>(
        &'a self,
        release: &'a Release,
        value: &'a [u8],
    ) -> Vec<Operation<'a>> {
        let key = self.leader.as_str();
        let mut operations = vec![Operation::CheckIndex {
            key,
            index: release.acquisition,
        }];
        // Before the lock is free, so that every node finds it.
        operations.extend(release.successor.as_ref().map(|node| Operation::Set {
            key: &self.successor,
            value: node.as_bytes(),
        }));
        operations.push(Operation::Unlock {
            key,
            value,
            flags: release.flags,
            session: &release.session,
        });
        operations
    }
}

/// Interprets the outcome of a [`LockKeys::take`].
pub(super) fn taken(outcome: &TxnOutcome) -> Taken {
    match outcome {
        TxnOutcome::Committed { index } => Taken::Won {
            modify_index: *index,
        },
        TxnOutcome::RolledBack(refused) if refused.is_for(Refusal::InvalidSession) => {
            Taken::InvalidSession
        }
        TxnOutcome::RolledBack(refused) if refused.is_for(Refusal::PermissionDenied) => {
            Taken::Denied
        }
        TxnOutcome::RolledBack(_) => Taken::Lost,
    }
}

/// The lock, from a read of its key.
pub(super) fn lock(read: Read<Option<Entry>>) -> Lock {
    Lock {
        index: read.index,
        key: read.value.map(key),
    }
}

/// The lock's key.
pub(super) fn key(entry: Entry) -> Key {
    Key {
        modify_index: entry.modify_index,
        session: entry.session,
        flags: entry.flags,
        value: entry.value,
    }
}

/// The epoch, from its key. A value that was written by hand counts as 0 if it
/// is not a number or is too high.
pub(super) fn epoch(entry: Option<&Entry>) -> Epoch {
    let Some(entry) = entry else {
        return Epoch::default();
    };
    let value = std::str::from_utf8(&entry.value)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let value = value.filter(|value: &u64| *value < NO_EPOCH);
    Epoch {
        value: value.unwrap_or_default(),
        modify_index: entry.modify_index,
    }
}

/// The successor, from its key.
pub(super) fn successor(entry: &Entry) -> Successor {
    Successor {
        node: String::from_utf8_lossy(&entry.value).trim().to_owned(),
        modify_index: entry.modify_index,
    }
}
