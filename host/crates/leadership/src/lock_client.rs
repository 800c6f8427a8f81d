//! The seam of the election to Consul: each operation as calls of its HTTP
//! API. What fails is logged here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, watch};

use super::assistance::{Assistance, Next};
use super::command::Release;
use super::consul_lock::{self, LockKeys};
use super::lock::{Lock, Looked};
use super::runs::Runs;
use super::service::Service;
use super::session_kind::SessionKind;
use super::stream_name::StreamName;
use super::take::{Take, Taken};
use super::watching::{Seen, Watching};
use sluice_consul::{Behavior, Client, Entry, Error, NewSession, Session, TxnOutcome, Wait};
use sluice_types::error_chain::chain;
use sluice_types::keys::{ClusterKeys, StreamKeys};
use sluice_types::stream::DEFAULT_STREAM;

/// How long a watch waits for a change.
///
/// Short, so that a wake-up that was lost on its way does not hide a free lock for longer.
const WATCH_WAIT: Duration = Duration::from_secs(2);
/// The time for a transaction or a consistent read.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Long: an agent that answers slowly does answer, and only a node that waits
/// for it knows that its session is kept alive.
const LOCK_RENEWAL_TIMEOUT: Duration = Duration::from_secs(6);
/// Short: the presence also asks the agent for what it knows by itself, and
/// must do so more often than a health check lets an agent be silent.
const PRESENCE_RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many streams' requests may be under way. Consul accepts 200 connections of an
/// address (`http_max_conns_per_client`), and several nodes may share one.
pub(super) const TURNS: usize = 12;
/// How often, and after which pauses, a session is asked for that Consul does
/// not create because its check is not ready.
const CREATE_ATTEMPTS: u32 = 40;
const CREATE_INTERVAL: Duration = Duration::from_millis(50);

/// What does not change during the life of a node.
#[derive(Debug)]
pub(super) struct LockClient {
    pub(super) client: Client,
    pub(super) service: Service,
    pub(super) cluster: ClusterKeys,
    /// The keys of the default stream.
    pub(super) keys: StreamKeys,
    /// What the leader's key holds while this node leads.
    pub(super) value: Vec<u8>,
    pub(super) lease: Duration,
    /// Turns for what a node with many streams does for each of them.
    pub(super) turns: Semaphore,
    /// What else nodes have written for streams other than the default one.
    pub(super) runs: watch::Sender<Option<Arc<Runs>>>,
    /// Whether what an earlier process of this node left was cleared away.
    pub(super) begun: OnceCell<()>,
}

impl LockClient {
    /// Opens a session: its id.
    pub(super) async fn open_session(&self, kind: SessionKind) -> Option<String> {
        let behavior = match kind {
            SessionKind::Lock => Behavior::Release,
            SessionKind::Presence => Behavior::Delete,
        };
        match self.create_session(&self.service.session(behavior)).await {
            Ok(Session(id)) => Some(id),
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not create a session");
                if error.is_denied() && kind == SessionKind::Lock {
                    tracing::error!(
                        error = chain(&error),
                        "Consul's ACL does not let this node create a session or register its \
                         service"
                    );
                }
                if error.is_rejected() && kind == SessionKind::Lock {
                    tracing::error!(
                        error = chain(&error),
                        "Consul does not accept this node's registration or session, so that it \
                         cannot lead"
                    );
                }
                None
            }
        }
    }

    async fn create_session(&self, session: &NewSession<'_>) -> Result<Session, Error> {
        // An earlier process of this node may have left a session, which a
        // check that passes again would keep alive.
        let id = self.service.id();
        self.begun
            .get_or_try_init(|| self.client.deregister(&id))
            .await?;
        self.client.register(&self.service.registration()).await?;
        let mut attempt = 0;
        loop {
            match self.client.create_session(session).await {
                // The check is not known to the servers yet, or not passing.
                Err(error) if error.is_check_not_ready() && attempt < CREATE_ATTEMPTS => {
                    attempt += 1;
                }
                result => return result,
            }
            tokio::time::sleep(CREATE_INTERVAL).await;
        }
    }

    /// Renews a session; whether it exists.
    pub(super) async fn keep_alive(&self, session: &str, kind: SessionKind) -> Option<bool> {
        let session = Session(session.to_owned());
        let timeout = match kind {
            SessionKind::Lock => LOCK_RENEWAL_TIMEOUT,
            SessionKind::Presence => PRESENCE_RENEWAL_TIMEOUT,
        };
        let exists = self.client.renew_session(&session, timeout).await;
        exists
            .inspect_err(|e| tracing::debug!(error = chain(e), "could not renew the session"))
            .ok()
    }

    /// Ends a session once; whether it has ended, or cannot be ended.
    pub(super) async fn end_session(&self, session: &str) -> bool {
        let session = Session(session.to_owned());
        let Err(error) = self.client.destroy_session(&session).await else {
            return true;
        };
        tracing::debug!(error = chain(&error), "could not end the session");
        error.is_denied() || error.is_unknown_session()
    }

    pub(super) async fn watch(&self, watching: Watching, index: u64) -> Option<Seen> {
        let wait = Wait {
            index,
            most: WATCH_WAIT,
        };
        let seen = match watching {
            Watching::Default => self.watch_default(wait).await,
            Watching::Others => self.watch_others(wait).await,
        };
        seen.inspect_err(|e| tracing::debug!(error = chain(e), "could not watch the locks"))
            .ok()
    }

    async fn watch_default(&self, wait: Wait) -> Result<Seen, Error> {
        let read = self.client.read(&self.keys.leader, Some(wait)).await?;
        let key = read.value.map(consul_lock::key);
        Ok(Seen {
            index: read.index,
            keys: key
                .map(|key| (DEFAULT_STREAM.into(), key))
                .into_iter()
                .collect(),
        })
    }

    async fn watch_others(&self, wait: Wait) -> Result<Seen, Error> {
        let read = self.client.list(&self.cluster.run(), Some(wait)).await?;
        let (mut keys, mut runs) = (BTreeMap::new(), Runs::default());
        for entry in read.value {
            match self.cluster.stream_of_leader(&entry.key) {
                Some(stream) => {
                    keys.insert(stream.into(), consul_lock::key(entry));
                }
                None => runs.add(&self.cluster, entry),
            }
        }
        let runs = Some(Arc::new(runs));
        self.runs.send_if_modified(|current| {
            let is_news = *current != runs;
            *current = runs;
            is_news
        });
        Ok(Seen {
            index: read.index,
            keys,
        })
    }

    pub(super) async fn look(&self, stream: &str) -> Option<Looked> {
        let _turn = self.turns.acquire().await;
        let keys = self.lock_keys(stream);
        let looked = match stream {
            // Embedded coordinators of earlier versions read no keys in transactions.
            DEFAULT_STREAM => self.try_look(&keys).await,
            _ => self.try_look_at_once(&keys).await,
        };
        looked
            .inspect_err(|e| tracing::debug!(error = chain(e), "could not look at the lock"))
            .ok()
    }

    async fn try_look(&self, keys: &LockKeys) -> Result<Looked, Error> {
        let read = |key| self.client.read_consistent(key, TRANSACTION_TIMEOUT);
        let (leader, epoch) = tokio::try_join!(read(&keys.leader), read(&keys.epoch))?;
        // It is written before the lock is free, so it is read after it.
        let successor = read(&keys.successor).await?;
        Ok(Looked {
            lock: consul_lock::lock(leader),
            epoch: consul_lock::epoch(epoch.value.as_ref()),
            successor: successor.value.as_ref().map(consul_lock::successor),
        })
    }

    /// The same in one request.
    async fn try_look_at_once(&self, keys: &LockKeys) -> Result<Looked, Error> {
        let all = [&keys.leader, &keys.epoch, &keys.successor].map(String::as_str);
        let read = self.client.read_many_consistent(&all, TRANSACTION_TIMEOUT);
        let mut entries = read.await?.into_iter();
        let mut next = || entries.next().flatten();
        let (leader, epoch, successor) = (next(), next(), next());
        Ok(Looked {
            lock: found(leader),
            epoch: consul_lock::epoch(epoch.as_ref()),
            successor: successor.as_ref().map(consul_lock::successor),
        })
    }

    /// The keys of a stream. That of the default stream's lock can be set.
    pub(super) fn stream_keys(&self, stream: &str) -> StreamKeys {
        match stream {
            DEFAULT_STREAM => self.keys.clone(),
            _ => self.cluster.stream(stream),
        }
    }

    fn lock_keys(&self, stream: &str) -> LockKeys {
        LockKeys::new(&self.cluster, &self.stream_keys(stream))
    }

    pub(super) async fn read_epoch(&self) -> Option<u64> {
        let key = self.cluster.epoch();
        let read = self.client.read_consistent(&key, TRANSACTION_TIMEOUT);
        let read = read.await.ok()?;
        Some(consul_lock::epoch(read.value.as_ref()).value)
    }

    pub(super) async fn take(&self, stream: &str, take: &Take) -> Taken {
        let _turn = self.turns.acquire().await;
        let epoch = take.epoch.to_string();
        let keys = self.lock_keys(stream);
        let operations = keys.take(take, &epoch, &self.value);
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(outcome) => {
                let taken = consul_lock::taken(&outcome);
                log_refusal(&taken, &outcome);
                taken
            }
            Err(error) if error.is_invalid_session() => Taken::InvalidSession,
            Err(error) => {
                tracing::warn!(error = chain(&error), "could not take the lock");
                Taken::Unknown
            }
        }
    }

    pub(super) async fn prove(&self, streams: &[StreamName]) -> Vec<Option<Lock>> {
        let keys = streams.iter().map(|stream| self.stream_keys(stream).leader);
        let keys: Vec<_> = keys.collect();
        let read = match keys.as_slice() {
            [key] => self.prove_one(key).await.map(|lock| vec![lock]),
            keys => self.prove_all(keys).await,
        };
        match read {
            Ok(locks) => locks.into_iter().map(Some).collect(),
            Err(error) => {
                let error = chain(&error);
                tracing::debug!(error, "could not prove that the locks are held");
                vec![None; streams.len()]
            }
        }
    }

    async fn prove_one(&self, key: &str) -> Result<Lock, Error> {
        let read = self.client.read_consistent(key, self.lease).await?;
        Ok(consul_lock::lock(read))
    }

    async fn prove_all(&self, keys: &[String]) -> Result<Vec<Lock>, Error> {
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let read = self.client.read_many_consistent(&keys, self.lease).await?;
        Ok(read.into_iter().map(found).collect())
    }

    pub(super) async fn release(&self, stream: &str, release: &Release) -> bool {
        self.try_release(stream, release, &self.value).await
    }

    /// Does something for another node with the lock that it holds; false if it
    /// could not be done, or if the lock that is asked for is not held.
    pub(super) async fn assist(&self, stream: &str, assistance: &Assistance) -> bool {
        let keys = self.lock_keys(stream);
        let read = self
            .client
            .read_consistent(&keys.leader, TRANSACTION_TIMEOUT);
        let Ok(read) = read.await else {
            return false;
        };
        match assistance.after(consul_lock::lock(read)) {
            Next::Answer(answer) => answer,
            Next::Release(release, value) => self.try_release(stream, &release, &value).await,
        }
    }

    async fn try_release(&self, stream: &str, release: &Release, value: &[u8]) -> bool {
        let keys = self.lock_keys(stream);
        let operations = keys.release(release, value);
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(TxnOutcome::Committed { .. }) => true,
            Ok(TxnOutcome::RolledBack(refused)) => {
                tracing::debug!(stream, %refused, "the lock was not held any more");
                true
            }
            Err(error) => {
                tracing::warn!(stream, error = chain(&error), "could not release the lock");
                // Without its session, nothing is held.
                error.is_invalid_session()
            }
        }
    }
}

/// A lock, from a read of several keys.
fn found(entry: Option<Entry>) -> Lock {
    Lock {
        index: entry.as_ref().map_or(0, |entry| entry.modify_index),
        key: entry.map(consul_lock::key),
    }
}

fn log_refusal(taken: &Taken, outcome: &TxnOutcome) {
    let TxnOutcome::RolledBack(refused) = outcome else {
        return;
    };
    tracing::debug!(%refused, "did not get the lock");
    if *taken == Taken::Denied {
        tracing::error!(%refused, "Consul's ACL does not let this node take the lock");
    }
}

#[cfg(test)]
#[path = "lock_client_tests.rs"]
mod tests;
