//! This node's registration, its own key, and the list of the others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::lock_client::LockClient;
use super::node_disk::NodeDisk;
use super::peers::NODES_PACE;
use super::session_kind::SessionKind;
use super::sessions::Sessions;
use sluice_consul::{Instance, Session};
use sluice_types::documents::NodeDocument;
use sluice_types::error_chain::chain;

/// How often the registration is looked after.
const ROUND: Duration = Duration::from_secs(2);
/// Short: a round asks the agent for what it knows by itself, and an agent that
/// is there must be heard more often than health allows it to be silent.
const RENEWAL: Duration = Duration::from_secs(2);

/// Keeps this node registered and its key current until it is told to leave.
pub(super) struct Membership {
    lock_client: Arc<LockClient>,
    sessions: Sessions,
    disk: NodeDisk,
    /// What the node's key holds, beside its address and the highest epoch that
    /// it has seen.
    state: watch::Receiver<NodeDocument>,
    session: Option<Session>,
    /// The one before it, which may still hold the key.
    former: Option<Session>,
    /// Sessions that Consul is told to end.
    ending: JoinSet<()>,
    /// What was written under that session.
    written: Option<String>,
    renewed: Instant,
}

impl Membership {
    pub(super) fn new(
        lock_client: Arc<LockClient>,
        sessions: Sessions,
        disk: NodeDisk,
        state: watch::Receiver<NodeDocument>,
    ) -> Self {
        Self {
            lock_client,
            sessions,
            disk,
            state,
            session: None,
            former: None,
            ending: JoinSet::new(),
            written: None,
            renewed: Instant::now(),
        }
    }

    pub(super) async fn run(&mut self, mut leave: watch::Receiver<bool>) {
        let mut role = self.lock_client.service.role.clone();
        let mut state = self.state.clone();
        loop {
            // Never cut short: a registration that is on its way to Consul must
            // not arrive after we left.
            self.keep_registered().await;
            self.keep_key().await;
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                changed = role.changed() => if changed.is_err() { return },
                changed = state.changed() => if changed.is_err() { return },
                () = told(&mut leave) => return,
            }
        }
    }

    /// Lets go of the key and of the registration.
    pub(super) async fn leave(mut self) {
        let client = &self.lock_client.client;
        if let Some(session) = self.session.take() {
            match client.destroy_session(&session).await {
                Ok(()) => self.sessions.forget(session.0).await,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "could not end the node's session");
                }
            }
        }
        if let Err(error) = client.deregister(&self.lock_client.service.id()).await {
            tracing::warn!(
                error = chain(&error),
                "could not deregister; Consul will forget this node in a minute"
            );
        }
    }

    async fn keep_registered(&self) {
        let service = &self.lock_client.service;
        let kept = match self.lock_client.client.own_tags(&service.id()).await {
            Ok(Some(tags)) if tags == service.tags() => Ok(()),
            Ok(_) => {
                self.lock_client
                    .client
                    .register(&service.registration())
                    .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::debug!(error = chain(&error), "could not keep this node registered");
        }
    }

    async fn keep_key(&mut self) {
        if let Err(error) = self.try_keep_key().await {
            tracing::debug!(error = chain(&error), "could not keep the node's key");
        }
    }

    async fn try_keep_key(&mut self) -> Result<(), sluice_consul::Error> {
        let lock_client = Arc::clone(&self.lock_client);
        let session = match self.session.take() {
            Some(session) if self.renewed.elapsed() < ROUND => session,
            Some(session) => match lock_client.client.renew_session(&session, RENEWAL).await {
                Ok(true) => session,
                // It may be told from the past: then it lives, with the key.
                Ok(false) => {
                    self.written = None;
                    self.end(session.clone());
                    self.former = Some(session);
                    return Ok(());
                }
                Err(error) => {
                    self.session = Some(session);
                    return Err(error);
                }
            },
            None => {
                self.written = None;
                let Some(id) = self.sessions.open(SessionKind::Presence).await else {
                    return Ok(());
                };
                Session(id)
            }
        };
        self.renewed = Instant::now();
        let (host, port) = &lock_client.service.address;
        let document = NodeDocument {
            address: format!("{host}:{port}"),
            epoch: self.disk.highest_epoch(),
            ..self.state.borrow().clone()
        };
        // Strings and numbers always have a JSON form.
        let state = serde_json::to_string(&document).unwrap_or_default();
        if self.written.as_ref() != Some(&state) {
            let key = lock_client.cluster.node(&lock_client.service.node);
            let written = lock_client
                .client
                .acquire(&key, &session.0, state.clone().into())
                .await;
            match &written {
                Err(error) if error.is_invalid_session() => self.end(session),
                _ => self.session = Some(session),
            }
            // A namesake's or an earlier session may still hold it; it ends.
            let is_written = written?;
            self.written = is_written.then_some(state);
            if let (false, Some(former)) = (is_written, self.former.clone()) {
                self.end(former);
            }
        } else {
            self.session = Some(session);
        }
        Ok(())
    }

    /// Tells Consul to end a session, however long that takes.
    fn end(&mut self, session: Session) {
        while self.ending.try_join_next().is_some() {}
        let sessions = self.sessions.clone();
        self.ending
            .spawn(async move { sessions.end(session.0).await });
    }
}

async fn told(leave: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(leave.wait_for(|leave| *leave).await);
}

/// Keeps the list of the registered nodes' addresses.
pub(super) async fn watch_addresses(
    lock_client: Arc<LockClient>,
    addresses: watch::Sender<Arc<HashSet<String>>>,
) {
    let service = &lock_client.service.cluster;
    let read = |wait| lock_client.client.instances(service, Some(wait));
    let show = |instances: Vec<Instance>| {
        let instances = instances.iter();
        Arc::new(
            instances
                .map(|i| format!("{}:{}", i.address, i.port))
                .collect(),
        )
    };
    sluice_consul::watch(NODES_PACE, service, read, show, addresses).await;
}
