//! The seam of the election to Consul: each operation as calls of its HTTP
//! API. What fails is logged here.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::consul_lock::{self, LockKeys};
use super::lock::{Lock, Looked};
use super::service::Service;
use super::session_kind::SessionKind;
use super::take::{Take, Taken};
use sluice_consul::{Behavior, Client, Error, NewSession, Session, TxnOutcome, Wait};
use sluice_types::error_chain::chain;
use sluice_types::keys::{ClusterKeys, StreamKeys};

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
    pub(super) keys: StreamKeys,
    /// The keys of the election.
    pub(super) lock: LockKeys,
    /// What the leader's key holds while this node leads.
    pub(super) value: Vec<u8>,
    pub(super) lease: Duration,
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

    pub(super) async fn watch(&self, index: u64) -> Option<Lock> {
        let wait = Wait {
            index,
            most: WATCH_WAIT,
        };
        let read = self.client.read(&self.keys.leader, Some(wait)).await;
        if let Err(error) = &read {
            tracing::debug!(error = chain(error), "could not watch the lock");
        }
        read.ok().map(consul_lock::lock)
    }

    pub(super) async fn look(&self) -> Option<Looked> {
        self.try_look()
            .await
            .inspect_err(|e| tracing::debug!(error = chain(e), "could not look at the lock"))
            .ok()
    }

    async fn try_look(&self) -> Result<Looked, Error> {
        let read = |key| self.client.read_consistent(key, TRANSACTION_TIMEOUT);
        let (leader, epoch) = tokio::try_join!(read(&self.keys.leader), read(&self.lock.epoch))?;
        // It is written before the lock is free, so it is read after it.
        let successor = read(&self.lock.successor).await?;
        Ok(Looked {
            lock: consul_lock::lock(leader),
            epoch: consul_lock::epoch(epoch.value.as_ref()),
            successor: successor.value.as_ref().map(consul_lock::successor),
        })
    }

    pub(super) async fn read_epoch(&self) -> Option<u64> {
        let read = self.client.read(&self.lock.epoch, None).await.ok()?;
        Some(consul_lock::epoch(read.value.as_ref()).value)
    }

    pub(super) async fn take(&self, take: &Take) -> Taken {
        let epoch = take.epoch.to_string();
        let operations = self.lock.take(take, &epoch, &self.value);
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
        read.ok().map(consul_lock::lock)
    }

    /// Asks the other nodes to leave the lock to this one, while the session
    /// still holds it. If this fails, any node may come next.
    pub(super) async fn name_successor(&self, node: &str, session: &str) {
        let operations = self.lock.name_successor(node, session);
        let key = &self.lock.successor;
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(TxnOutcome::Committed { .. }) => {}
            Ok(TxnOutcome::RolledBack(refused)) => {
                tracing::warn!(key, %refused, "could not leave the lock to the next node");
            }
            Err(error) => tracing::warn!(
                key,
                error = chain(&error),
                "could not leave the lock to the next node"
            ),
        }
    }

    pub(super) async fn release(&self, session: &str, flags: u64) {
        let value = self.value.clone();
        let released = self
            .client
            .release(&self.keys.leader, session, flags, value)
            .await;
        if let Err(error) = &released {
            tracing::warn!(error = chain(error), "could not release the lock");
        }
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
mod tests {
    use super::*;
    use crate::health_secret::HealthSecret;

    use sluice_consul::Config;
    use sluice_coordinator::{Coordinator, CoordinatorConfig};
    use sluice_types::stream::DEFAULT_STREAM;
    use tokio::sync::watch;

    use crate::lock::{CLEAN, Successor};
    use crate::role::Role;

    struct Fixture {
        coordinator: Coordinator,
        _data_dir: tempfile::TempDir,
        _role: watch::Sender<Role>,
        client: LockClient,
    }

    /// A client of a coordinator of its own.
    fn start() -> Fixture {
        // A client cannot be built without one, even if it speaks plain HTTP. Another
        // test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let data_dir = tempfile::tempdir().unwrap();
        let config = CoordinatorConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: data_dir.path().to_owned(),
            hosts: Vec::new(),
            connections: 100,
        };
        let coordinator = Coordinator::start(&config).unwrap();
        let address = coordinator.address().to_string();
        // The coordinator itself answers the health check.
        let health_url = format!("http://{address}/v1/status/leader");
        let variable = |name| (name == "CONSUL_HTTP_ADDR").then(|| address.clone());
        let (role, role_out) = watch::channel(Role::Follower { leader: None });
        let cluster = ClusterKeys::new("c");
        let keys = cluster.stream(DEFAULT_STREAM);
        let client = LockClient {
            client: Client::new(Config::from_variables(variable).unwrap()).unwrap(),
            service: Service::new(
                "c".to_owned(),
                "a".to_owned(),
                ("10.0.0.1".to_owned(), 3000),
                (health_url, HealthSecret::random()),
                role_out,
            ),
            lock: LockKeys::new(&cluster, &keys),
            cluster,
            keys,
            value: b"a leads".to_vec(),
            lease: Duration::from_secs(1),
            begun: OnceCell::new(),
        };
        Fixture {
            coordinator,
            _data_dir: data_dir,
            _role: role,
            client,
        }
    }

    /// An attempt on keys that are absent.
    fn first_take(session: &str) -> Take {
        Take {
            session: session.to_owned(),
            expected: None,
            epoch: 1,
            epoch_index: 0,
            successor_index: None,
            flags: 1_000,
        }
    }

    async fn open(client: &LockClient) -> String {
        client.open_session(SessionKind::Lock).await.unwrap()
    }

    #[tokio::test]
    async fn the_lock_is_taken_once_together_with_the_epoch() {
        let it = start();
        let client = &it.client;
        let session = open(client).await;
        assert_eq!(client.look().await.unwrap().lock.key, None);
        let Taken::Won { modify_index } = client.take(&first_take(&session)).await else {
            panic!("the lock was free");
        };
        let lock = client.prove().await.unwrap();
        assert!(lock.is_held_by(&session));
        let key = lock.key.unwrap();
        assert_eq!((key.modify_index, key.flags), (modify_index, 1_000));
        assert_eq!(key.value, b"a leads");
        assert_eq!(client.read_epoch().await, Some(1));
        let other = open(client).await;
        assert_eq!(client.take(&first_take(&other)).await, Taken::Lost);
        assert!(client.prove().await.unwrap().is_held_by(&session));
    }

    #[tokio::test]
    async fn the_holder_alone_names_its_successor_and_releases_the_lock() {
        let it = start();
        let client = &it.client;
        let (holder, other) = (open(client).await, open(client).await);
        client.take(&first_take(&holder)).await;
        client.name_successor("x", &other).await;
        client.release(&other, CLEAN).await;
        let before = client.look().await.unwrap();
        assert!(before.lock.is_held_by(&holder));
        assert_eq!(before.successor, None);
        client.name_successor("b", &holder).await;
        client.release(&holder, CLEAN).await;
        let after = client.look().await.unwrap();
        assert!(matches!(after.successor, Some(Successor { node, .. }) if node == "b"));
        assert_eq!(after.lock.holder(), None);
        assert_eq!(after.lock.key.unwrap().flags, CLEAN);
    }

    #[tokio::test]
    async fn a_session_that_has_ended_is_not_renewed_and_takes_no_lock() {
        let it = start();
        let client = &it.client;
        let session = open(client).await;
        let kind = SessionKind::Lock;
        assert_eq!(client.keep_alive(&session, kind).await, Some(true));
        assert!(client.end_session(&session).await);
        assert_eq!(client.keep_alive(&session, kind).await, Some(false));
        let taken = client.take(&first_take(&session)).await;
        assert_eq!(taken, Taken::InvalidSession);
    }

    #[tokio::test]
    async fn without_an_answer_nothing_is_known() {
        let it = start();
        let client = &it.client;
        let session = open(client).await;
        drop(it.coordinator);
        assert_eq!(client.look().await, None);
        assert_eq!(client.prove().await, None);
        assert_eq!(client.keep_alive(&session, SessionKind::Lock).await, None);
        assert_eq!(client.take(&first_take(&session)).await, Taken::Unknown);
        assert!(!client.end_session(&session).await);
    }
}
