//! The questions that the election puts to Consul, and the sessions and files
//! that belong to them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, OnceCell};

use super::epoch_file::EpochFile;
use super::lock::{Epoch, Key, Lock, NO_EPOCH};
use super::question::{Event, Looked, Taken, Wish};
use super::service::Service;
use super::session_file::SessionFile;
use sluice_consul::{
    Behavior, Client, Entry, Error, NewSession, Operation, Read, Session, TxnOutcome, Wait,
};
use sluice_types::error_chain::chain;
use sluice_types::keys::{ClusterKeys, StreamKeys};

/// How long a watch waits for a change.
///
/// Short, so that a wake-up that was lost on its way hides a free lock no longer.
const WATCH_WAIT: Duration = Duration::from_secs(2);
/// The time for a transaction or a consistent read.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);
/// An agent that answers slowly answers, and only a node that hears it knows
/// that its session is kept alive.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a write to the disk is waited for.
const DISK_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before a session that did not end is ended again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// What does not change during the life of a node.
#[derive(Debug)]
pub(super) struct LockClient {
    pub(super) client: Client,
    pub(super) service: Service,
    pub(super) cluster: ClusterKeys,
    pub(super) keys: StreamKeys,
    /// What the leader's key holds while this node leads.
    pub(super) value: Vec<u8>,
    pub(super) lease: Duration,
    pub(super) epoch_file: EpochFile,
    pub(super) sessions: SessionFile,
    /// Held by who writes to the disk.
    pub(super) disk: Arc<Mutex<()>>,
    /// Whether what an earlier life of this node left was cleared away.
    pub(super) begun: OnceCell<()>,
}

/// The keys as they must be when the lock is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    /// The lock's index; `None`: it is absent.
    pub(super) expected: Option<u64>,
    /// The epoch's index; 0: it is absent.
    pub(super) epoch_index: u64,
    /// The wish's index, if there is one.
    pub(super) wish_index: Option<u64>,
}

/// One question to Consul each, its answer as an event.
impl LockClient {
    pub(super) async fn create_session(self: Arc<Self>) -> Event {
        let session = self.service.session(Behavior::Release);
        match self.try_create_session(&session).await {
            Ok(Session(id)) => Event::Session(Some(id)),
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not make a session");
                if error.is_denied() {
                    tracing::error!(
                        error = chain(&error),
                        "Consul's ACL does not let this node make a session or register its service"
                    );
                }
                Event::Session(None)
            }
        }
    }

    pub(super) async fn try_create_session(
        self: &Arc<Self>,
        session: &NewSession<'_>,
    ) -> Result<Session, Error> {
        const ATTEMPTS: u32 = 40;
        // A life of this node before this one may have left a session, which
        // a check that passes again would keep alive.
        let id = self.service.id();
        self.begun
            .get_or_try_init(|| self.client.deregister(&id))
            .await?;
        self.client.register(&self.service.registration()).await?;
        let mut attempt = 0;
        let made = loop {
            match self.client.create_session(session).await {
                // The check is not known to the servers yet, or not passing.
                Err(error) if error.is_check_not_ready() && attempt < ATTEMPTS => attempt += 1,
                result => break result?,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let id = made.0.clone();
        self.write("a session's id", move |lock_client| {
            lock_client.sessions.add(id)
        })
        .await;
        Ok(made)
    }

    pub(super) async fn renew(&self, session: String) -> Event {
        let session = Session(session);
        let exists = self.client.renew_session(&session, RENEWAL_TIMEOUT).await;
        let exists = exists
            .inspect_err(|e| tracing::debug!(error = chain(e), "could not renew the session"));
        Event::Renewed {
            session: session.0,
            exists: exists.ok(),
        }
    }

    /// Ends a session. Until Consul has heard it: one that only this node has
    /// forgotten would keep the lock until its TTL is over.
    pub(super) async fn end(self: &Arc<Self>, session: &Session) {
        while let Err(error) = self.client.destroy_session(session).await {
            tracing::debug!(error = chain(&error), "could not end the session");
            if error.is_denied() || error.is_unknown_session() {
                break;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        self.forget(session).await;
    }

    /// The session has ended.
    pub(super) async fn forget(self: &Arc<Self>, Session(id): &Session) {
        let id = id.clone();
        self.write("that a session has ended", move |lock_client| {
            lock_client.sessions.remove(&id)
        })
        .await;
    }

    /// Ends the sessions of earlier lives.
    pub(super) async fn end_earlier(self: Arc<Self>) {
        let earlier = self.sessions.earlier().iter().cloned().map(Session);
        let ends = earlier.map(|session| {
            let lock_client = Arc::clone(&self);
            async move { lock_client.end(&session).await }
        });
        join_all(ends).await;
    }

    pub(super) async fn watch(&self, index: u64) -> Event {
        let wait = Wait {
            index,
            most: WATCH_WAIT,
        };
        let read = self.client.read(&self.keys.leader, Some(wait)).await;
        if let Err(error) = &read {
            tracing::debug!(error = chain(error), "could not watch the lock");
        }
        Event::Watched(read.ok().map(lock))
    }

    pub(super) async fn look(&self) -> Event {
        let timeout = TRANSACTION_TIMEOUT;
        let epoch_key = self.cluster.epoch();
        let read = |key| self.client.read_consistent(key, timeout);
        let reads = async {
            let (leader, epochs) = tokio::try_join!(read(&self.keys.leader), read(&epoch_key))?;
            // It is written before the lock is free, so it is read after it.
            Ok::<_, Error>((leader, epochs, read(&self.keys.next).await?))
        };
        match reads.await {
            Ok((leader, epochs, wishes)) => Event::Looked(Some(Looked {
                lock: lock(leader),
                epoch: epoch(epochs.value.as_ref()),
                wish: wishes.value.as_ref().map(wish),
            })),
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not look at the lock");
                Event::Looked(None)
            }
        }
    }

    pub(super) async fn see_epoch(self: Arc<Self>) -> Event {
        let Ok(read) = self.client.read(&self.cluster.epoch(), None).await else {
            return Event::Tick;
        };
        let epoch = epoch(read.value.as_ref()).value;
        self.remember(epoch).await;
        Event::EpochSeen(epoch)
    }

    pub(super) async fn take(
        self: Arc<Self>,
        session: &str,
        free: Free,
        epoch: u64,
        flags: u64,
    ) -> Taken {
        let (key, value) = (self.keys.leader.as_str(), self.value.as_slice());
        let (epoch_key, decimal) = (self.cluster.epoch(), epoch.to_string());
        let mut operations = vec![
            match free.expected {
                Some(index) => Operation::CheckIndex { key, index },
                None => Operation::CheckNotExists { key },
            },
            Operation::Cas {
                key: &epoch_key,
                value: decimal.as_bytes(),
                index: free.epoch_index,
            },
            Operation::Lock {
                key,
                value,
                flags,
                session,
            },
        ];
        if let Some(index) = free.wish_index {
            let key = &self.keys.next;
            operations.push(Operation::DeleteCas { key, index });
        }
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(TxnOutcome::Committed { index }) => {
                self.remember(epoch).await;
                Taken::Won {
                    modify_index: index,
                }
            }
            Ok(TxnOutcome::RolledBack(errors)) => {
                tracing::debug!(?errors, "did not get the lock");
                let say = |what: &str| errors.iter().any(|error| error.contains(what));
                if say("invalid session") {
                    Taken::InvalidSession
                } else if say("Permission denied") {
                    tracing::error!(?errors, "Consul's ACL does not let this node take the lock");
                    Taken::Denied
                } else {
                    Taken::Lost
                }
            }
            Err(error) if error.is_invalid_session() => Taken::InvalidSession,
            Err(error) => {
                tracing::warn!(error = chain(&error), "could not take the lock");
                Taken::Unknown
            }
        }
    }

    pub(super) async fn prove(&self) -> Option<Lock> {
        let read = self
            .client
            .read_consistent(&self.keys.leader, self.lease)
            .await;
        if let Err(error) = &read {
            tracing::debug!(
                error = chain(error),
                "could not prove that the lock is held"
            );
        }
        read.ok().map(lock)
    }

    /// Asks the others to leave the lock to this node, while the session
    /// still holds it. Without it anybody may come next.
    pub(super) async fn wish_for(&self, node: &str, session: &str) {
        let (leader_key, key) = (&self.keys.leader, &self.keys.next);
        let operations = [
            Operation::CheckSession {
                key: leader_key,
                session,
            },
            Operation::Set {
                key,
                value: node.as_bytes(),
            },
        ];
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(TxnOutcome::Committed { .. }) => {}
            Ok(TxnOutcome::RolledBack(errors)) => {
                tracing::warn!(key, ?errors, "could not leave the lock to the next node");
            }
            Err(error) => tracing::warn!(
                key,
                error = chain(&error),
                "could not leave the lock to the next node"
            ),
        }
    }

    pub(super) async fn release(&self, session: &str, flags: u64) -> Event {
        let value = self.value.clone();
        let released = self
            .client
            .release(&self.keys.leader, session, flags, value)
            .await;
        if let Err(error) = &released {
            tracing::warn!(error = chain(error), "could not give the lock back");
        }
        Event::Released {
            session: session.to_owned(),
        }
    }

    /// Keeps the epoch on disk. Without it only a Consul that loses its state
    /// can lead us back.
    async fn remember(self: &Arc<Self>, epoch: u64) {
        if epoch > self.epoch_file.highest() {
            self.write("the epoch", move |lock_client| {
                lock_client.epoch_file.raise(epoch)
            })
            .await;
        }
    }

    /// Writes to the disk, away from this thread. A disk that fails or hangs
    /// keeps nobody from leading.
    async fn write<E>(
        self: &Arc<Self>,
        what: &'static str,
        write: impl FnOnce(&Self) -> Result<(), E> + Send + 'static,
    ) where
        E: std::error::Error + Send + 'static,
    {
        let lock_client = Arc::clone(self);
        let disk = Arc::clone(&self.disk);
        let written = async move {
            // A disk that hangs takes one thread, not all that there are.
            let turn = disk.lock_owned().await;
            let writing = move || {
                let _turn = turn;
                write(&lock_client)
            };
            tokio::task::spawn_blocking(writing).await
        };
        let error = match tokio::time::timeout(DISK_TIMEOUT, written).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => chain(&error),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("it takes longer than {DISK_TIMEOUT:?}"),
        };
        tracing::error!(error, "could not keep {what} on disk");
    }
}

fn lock(read: Read<Option<Entry>>) -> Lock {
    let key = read.value.map(|entry| Key {
        modify_index: entry.modify_index,
        session: entry.session,
        flags: entry.flags,
        value: entry.value,
    });
    Lock {
        index: read.index,
        key,
    }
}

fn wish(entry: &Entry) -> Wish {
    Wish {
        node: String::from_utf8_lossy(&entry.value).trim().to_owned(),
        modify_index: entry.modify_index,
    }
}

fn epoch(entry: Option<&Entry>) -> Epoch {
    let Some(entry) = entry else {
        return Epoch::default();
    };
    let value = std::str::from_utf8(&entry.value)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    // One that was written by hand is counted over.
    let value = value.filter(|value: &u64| *value < NO_EPOCH);
    Epoch {
        value: value.unwrap_or_default(),
        modify_index: entry.modify_index,
    }
}
