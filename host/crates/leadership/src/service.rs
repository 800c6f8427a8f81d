//! How this node is registered with its agent, and how its sessions are bound
//! to that.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::health_secret::{HEADER, HealthSecret};
use super::role::Role;
use sluice_consul::{Behavior, Check, NewSession, Registration};

/// The shortest TTL that Consul accepts.
const SESSION_TTL: Duration = Duration::from_secs(10);

/// How this node is registered.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) cluster: String,
    pub(super) node: String,
    /// The host and the port for clients.
    pub(super) address: (String, u16),
    /// The URL of Consul's health check.
    pub(super) health_url: String,
    /// What the check bears.
    pub(super) health_secret: HealthSecret,
    pub(super) role: watch::Receiver<Role>,
    session_name: String,
    check: String,
}

impl Service {
    pub(super) fn new(
        cluster: String,
        node: String,
        address: (String, u16),
        (health_url, health_secret): (String, HealthSecret),
        role: watch::Receiver<Role>,
    ) -> Self {
        let session_name = format!("{cluster} {node}");
        let check = format!("service:{cluster}-{node}");
        Self {
            cluster,
            node,
            address,
            health_url,
            health_secret,
            role,
            session_name,
            check,
        }
    }

    /// Where clients reach this node.
    pub(super) fn client_address(&self) -> String {
        let (host, port) = &self.address;
        format!("{host}:{port}")
    }

    /// Unique on an agent that serves several nodes.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.cluster, self.node)
    }

    pub(super) fn tags(&self) -> Vec<String> {
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
                header: BTreeMap::from([(
                    HEADER.to_owned(),
                    vec![self.health_secret.value().to_owned()],
                )]),
                interval: Duration::from_secs(1),
                timeout: Duration::from_millis(500),
                // The listener is already bound, so there is no need to wait
                // for a check.
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
