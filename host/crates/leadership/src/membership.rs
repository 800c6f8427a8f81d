//! This node's registration, its own key, and the list of the others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::campaign::{Place, SESSION_TTL};
use super::control::Role;
use sluice_consul::{Behavior, Check, NewSession, Registration, Session, Wait};
use sluice_types::error_chain::chain;

/// How often the registration is looked after.
const ROUND: Duration = Duration::from_secs(2);
/// Short: a round asks the agent for what it knows by itself, and an agent that
/// is there must be heard more often than health allows it to be silent.
const RENEWAL: Duration = Duration::from_secs(2);
/// How long the watch for the other nodes waits.
const WATCH: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// How this node is registered.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) cluster: String,
    pub(super) node: String,
    /// The host and port for clients.
    pub(super) address: (String, u16),
    /// What Consul's check asks.
    pub(super) health_url: String,
    pub(super) role: watch::Receiver<Role>,
    session_name: String,
    check: String,
}

impl Service {
    pub(super) fn new(
        cluster: String,
        node: String,
        address: (String, u16),
        health_url: String,
        role: watch::Receiver<Role>,
    ) -> Self {
        let session_name = format!("{cluster} {node}");
        let check = format!("service:{cluster}-{node}");
        Self {
            cluster,
            node,
            address,
            health_url,
            role,
            session_name,
            check,
        }
    }

    /// Unique on an agent that serves several nodes.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.cluster, self.node)
    }

    fn tags(&self) -> Vec<String> {
        match &*self.role.borrow() {
            Role::Leader(_) => vec!["leader".to_owned()],
            Role::Follower { .. } => Vec::new(),
        }
    }

    pub(super) fn registration(&self) -> Registration {
        Registration {
            id: self.id(),
            name: self.cluster.clone(),
            address: self.address.0.clone(),
            port: self.address.1,
            tags: self.tags(),
            check: Check {
                id: self.check.clone(),
                http: self.health_url.clone(),
                interval: Duration::from_secs(1),
                timeout: Duration::from_millis(500),
                // The listener is bound before: no need to wait for the agent.
                status: "passing",
                deregister_critical_service_after: Duration::from_secs(60),
            },
        }
    }

    pub(super) fn session(&self, behavior: Behavior) -> NewSession<'_> {
        NewSession {
            name: &self.session_name,
            ttl: SESSION_TTL,
            behavior,
            check: &self.check,
        }
    }
}

/// Keeps this node registered and its key current until it is told to leave.
pub(super) struct Membership {
    place: Arc<Place>,
    /// What the node's key holds, beside its address and the highest epoch that
    /// it has seen.
    state: watch::Receiver<serde_json::Value>,
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
    pub(super) fn new(place: Arc<Place>, state: watch::Receiver<serde_json::Value>) -> Self {
        Self {
            place,
            state,
            session: None,
            former: None,
            ending: JoinSet::new(),
            written: None,
            renewed: Instant::now(),
        }
    }

    pub(super) async fn run(&mut self, mut leave: watch::Receiver<bool>) {
        let mut role = self.place.service.role.clone();
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
        let client = &self.place.client;
        if let Some(session) = self.session.take() {
            match client.destroy_session(&session).await {
                Ok(()) => self.place.forget(&session).await,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "could not end the node's session");
                }
            }
        }
        if let Err(error) = client.deregister(&self.place.service.id()).await {
            tracing::warn!(
                error = chain(&error),
                "could not deregister; Consul will forget this node in a minute"
            );
        }
    }

    async fn keep_registered(&self) {
        let service = &self.place.service;
        let kept = match self.place.client.own_tags(&service.id()).await {
            Ok(Some(tags)) if tags == service.tags() => Ok(()),
            Ok(_) => self.place.client.register(&service.registration()).await,
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
        let place = Arc::clone(&self.place);
        let session = match self.session.take() {
            Some(session) if self.renewed.elapsed() < ROUND => session,
            Some(session) => match place.client.renew_session(&session, RENEWAL).await {
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
                let new = place.service.session(Behavior::Delete);
                place.try_create_session(&new).await?
            }
        };
        self.renewed = Instant::now();
        let mut state = self.state.borrow().clone();
        let (host, port) = &place.service.address;
        if let Some(fields) = state.as_object_mut() {
            fields.insert("address".to_owned(), format!("{host}:{port}").into());
            fields.insert("epoch".to_owned(), place.epoch_file.highest().into());
        }
        let state = state.to_string();
        if self.written.as_ref() != Some(&state) {
            let key = format!("{}/nodes/{}", place.service.cluster, place.service.node);
            let written = place
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
        let place = Arc::clone(&self.place);
        self.ending.spawn(async move { place.end(&session).await });
    }
}

async fn told(leave: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(leave.wait_for(|leave| *leave).await);
}

/// Keeps the list of the registered nodes' addresses.
pub(super) async fn watch_addresses(place: Arc<Place>, peers: watch::Sender<Arc<HashSet<String>>>) {
    let mut index = 0;
    while !peers.is_closed() {
        let wait = Wait { index, most: WATCH };
        match place
            .client
            .instances(&place.service.cluster, Some(wait))
            .await
        {
            Ok(read) => {
                index = read.index;
                let addresses = read
                    .value
                    .iter()
                    .map(|i| format!("{}:{}", i.address, i.port));
                let found = Arc::new(addresses.collect());
                peers.send_if_modified(|known| {
                    let changed = **known != *found;
                    *known = found;
                    changed
                });
            }
            Err(error) => {
                index = 0;
                tracing::debug!(error = chain(&error), "could not list the nodes");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
