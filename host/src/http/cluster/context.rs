//! What the routes for the whole cluster work with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use tokio::time::timeout;

use super::latest::Latest;
use super::own::OwnNode;
use super::report::Reporter;
use super::running::Running;
use super::shown::shown;
use super::stream_rows::StreamRows;
use crate::history::Histories;
use crate::http::audited::Action;
use crate::http::chosen;
use crate::http::problem::Problem;
use crate::http::reading;
use crate::peer::{LeaderClient, PeerClient, Target, node_name};
use crate::stream::Stream;
use sluice_access::{Access, Client as Reader};
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
#[derive(Clone, Debug)]
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
pub(crate) struct ClusterShared {
    parts: ClusterParts,
    /// The overviews that were made last, by their streams.
    latest: Mutex<BTreeMap<String, Arc<Latest<Bytes>>>>,
    /// The list of streams that was made last.
    pub(super) rows: Latest<Arc<StreamRows>>,
    /// Actions that are under way.
    pub(super) running: Running,
    /// The nodes that Consul had registered when it was asked last.
    registered: Mutex<Vec<Member>>,
}

/// The same for one stream.
#[derive(Debug)]
pub(super) struct ClusterContext {
    pub(super) shared: Arc<ClusterShared>,
    pub(super) parts: ClusterParts,
    pub(super) stream: Arc<Stream>,
}

/// The context of a request, for the stream that it names.
pub(super) struct InStream(pub(super) Arc<ClusterContext>);

impl FromRequestParts<Arc<ClusterShared>> for InStream {
    type Rejection = Response;

    async fn from_request_parts(
        head: &mut Parts,
        shared: &Arc<ClusterShared>,
    ) -> Result<Self, Response> {
        match shared.of_request(head) {
            Ok(context) => Ok(Self(Arc::new(context))),
            Err(problem) => Err(problem.response(&head.headers)),
        }
    }
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

impl ClusterShared {
    pub(crate) fn new(parts: ClusterParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            latest: Mutex::default(),
            rows: Latest::default(),
            running: Running::default(),
            registered: Mutex::default(),
        })
    }

    /// The context of a request.
    ///
    /// # Errors
    /// There is no stream of the name that it gives, or it gives two.
    fn of_request(self: &Arc<Self>, head: &Parts) -> Result<ClusterContext, Problem> {
        let streams = &self.parts.own.streams;
        Ok(ClusterContext {
            stream: chosen::stream_of(streams, &head.extensions, &head.headers)?,
            parts: self.parts.clone(),
            shared: Arc::clone(self),
        })
    }

    /// The context of what is about no stream.
    pub(super) fn of_default(self: &Arc<Self>) -> ClusterContext {
        ClusterContext {
            stream: Arc::clone(self.parts.own.streams.default_stream()),
            parts: self.parts.clone(),
            shared: Arc::clone(self),
        }
    }

    /// Checks that a request may read. Returns the client, with `--tokens`.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn check_reader(
        self: &Arc<Self>,
        head: &Parts,
    ) -> Result<Option<Arc<Reader>>, Problem> {
        let context = self.of_request(head)?;
        reading::check(&self.parts.access, head, &context.stream.name)
    }

    /// The overview of a stream that was made last.
    pub(super) fn latest(&self, stream: &str) -> Arc<Latest<Bytes>> {
        let mut latest = lock(&self.latest);
        // Those of streams that are closed.
        latest.retain(|name, _| name == stream || self.parts.own.streams.get(name).is_some());
        Arc::clone(latest.entry(stream.to_owned()).or_default())
    }
}

impl ClusterContext {
    /// Checks that a request may do this action.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn check_admin(&self, head: &Parts, what: &str) -> Result<Action, Problem> {
        reading::check_admin(&self.parts.access, head, &self.stream.name, what)
    }

    /// This node's name.
    pub(super) fn node(&self) -> &str {
        &self.parts.own.node
    }

    /// The keys of the stream.
    pub(super) fn keys(&self) -> StreamKeys {
        ClusterKeys::new(self.parts.cluster.as_str()).stream(&self.stream.name)
    }

    /// What a node's document says of the stream, as if that were its only one. Of the
    /// default one, it is the whole document.
    pub(super) fn of_stream(&self, document: &NodeDocument) -> Option<NodeDocument> {
        match self.stream.name.as_str() {
            DEFAULT_STREAM => Some(document.clone()),
            named => document.for_stream(named),
        }
    }

    /// The same of all nodes that are alive and have the stream.
    pub(super) fn documents_of_stream(&self) -> Vec<NodeDocument> {
        let documents = self.documents();
        let documents = documents.iter();
        documents.filter_map(|it| self.of_stream(it)).collect()
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
        let registered = lock(&self.shared.registered).clone();
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
        *lock(&self.shared.registered) = members.collect();
        Ok(())
    }

    /// A client for the other nodes, for the stream.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn client(&self) -> Result<Arc<PeerClient>, String> {
        let client = self.parts.nodes.client()?;
        Ok(client.of_stream(&self.stream.name))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
