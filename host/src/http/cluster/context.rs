//! What the routes for the whole cluster work with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use tokio::time::timeout;

use super::latest::Latest;
use super::own::OwnNode;
use super::report::Reporter;
use super::running::Running;
use super::shown::shown;
use crate::history::Histories;
use crate::http::audited::Action;
use crate::http::problem::Problem;
use crate::http::reading;
use crate::peer::{LeaderClient, PeerClient, Target, node_name};
use sluice_access::Access;
use sluice_consul::Client;
use sluice_leadership::Controls;
use sluice_types::documents::NodeDocument;
use sluice_types::keys::{ClusterKeys, StreamKeys};
use sluice_types::stream::DEFAULT_STREAM;

/// How long Consul may take to say which nodes are registered.
const REGISTERED_LIMIT: Duration = Duration::from_secs(2);
/// The most nodes that are asked.
const NODES_MAX: usize = 100;

/// What the routes need of their node.
#[derive(Debug)]
pub(crate) struct ClusterParts {
    pub(crate) cluster: String,
    pub(crate) own: Arc<OwnNode>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) controls: Controls,
    pub(crate) consul: Client,
    /// Reaches the other nodes.
    pub(crate) nodes: Arc<LeaderClient>,
    /// Tells of this node for bug reports.
    pub(crate) reporter: Arc<Reporter>,
    /// Who may read, and who may act.
    pub(crate) access: Arc<Access>,
}

/// The cluster as this node sees it.
#[derive(Debug)]
pub(crate) struct ClusterContext {
    pub(super) parts: ClusterParts,
    pub(super) latest: Latest,
    /// Actions that are under way.
    pub(super) running: Running,
    /// The nodes that Consul had registered when it was asked last.
    registered: Mutex<Vec<Member>>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) node: String,
    /// Where it is reached, as `host:port`.
    pub(super) address: String,
}

impl Member {
    /// For a request to it.
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            node: &self.node,
            address: &self.address,
        }
    }
}

impl ClusterContext {
    pub(crate) fn new(parts: ClusterParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            latest: Latest::default(),
            running: Running::default(),
            registered: Mutex::default(),
        })
    }

    /// Checks that a request may read.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn check_reader(&self, head: &Parts) -> Result<(), Problem> {
        reading::check(&self.parts.access, head, DEFAULT_STREAM).map(drop)
    }

    /// Checks that a request may do this action.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn check_admin(&self, head: &Parts, what: &str) -> Result<Action, Problem> {
        reading::check_admin(&self.parts.access, head, DEFAULT_STREAM, what)
    }

    /// This node's name.
    pub(super) fn node(&self) -> &str {
        &self.parts.own.node
    }

    /// The keys of the default stream.
    pub(super) fn keys(&self) -> StreamKeys {
        ClusterKeys::new(self.parts.cluster.as_str()).stream(DEFAULT_STREAM)
    }

    /// What the nodes that are alive say of themselves.
    pub(super) fn documents(&self) -> Arc<Vec<NodeDocument>> {
        let documents = self.parts.controls.peers.documents();
        let documents = documents.borrow().clone();
        documents.unwrap_or_default()
    }

    /// All nodes that are known: alive or only registered, sorted by name.
    pub(super) fn members(&self) -> Vec<Member> {
        let address = self.parts.controls.address.borrow().clone();
        let mut members = vec![Member {
            node: self.node().to_owned(),
            address: address.unwrap_or_default(),
        }];
        let alive = self.documents();
        let alive = alive.iter().map(|document| Member {
            node: document.node.clone(),
            address: document.address.clone(),
        });
        let registered = lock(&self.registered).clone();
        for member in alive.chain(registered) {
            if !members.iter().any(|known| known.node == member.node) {
                members.push(member);
            }
        }
        members.truncate(NODES_MAX);
        members.sort();
        members
    }

    /// Asks Consul which nodes are registered; otherwise those of last time count.
    ///
    /// # Errors
    /// Consul gives no usable answer.
    pub(super) async fn refresh_members(&self) -> Result<(), String> {
        let cluster = &self.parts.cluster;
        let asking = self.parts.consul.instances(cluster, None);
        let found = match timeout(REGISTERED_LIMIT, asking).await {
            Ok(Ok(found)) => found.value,
            Ok(Err(error)) => return Err(shown(&error)),
            Err(_) => return Err("no answer in time".to_owned()),
        };
        let members = found.iter().map(|instance| Member {
            node: node_name(cluster, instance).to_owned(),
            address: instance.host_and_port(),
        });
        *lock(&self.registered) = members.collect();
        Ok(())
    }

    /// A client for the other nodes.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn client(&self) -> Result<Arc<PeerClient>, String> {
        self.parts.nodes.client()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
