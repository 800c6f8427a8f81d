//! `GET /api/v1/cluster`: all nodes, and who led when.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::asking::ask;
use super::context::{ClusterContext, InStream, Member};
use super::own::NodeView;
use super::problem::fresh;
use crate::http::admin::Status;
use crate::http::response::JSON;
use crate::peer::PeerClient;
use crate::stream::{Led, merged};
use sluice_types::clock::timestamp;
use sluice_types::documents::{LeaderAddress, NodeDocument};

/// How long a node may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);
/// An overview that is younger is given again: however many pages are open, the
/// nodes are asked only so often.
const FRESH: Duration = Duration::from_millis(400);

/// The document.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Overview {
    pub(crate) cluster: String,
    /// The node that answers.
    pub(crate) node: String,
    pub(crate) version: String,
    /// When, in RFC 3339.
    pub(crate) at: String,
    pub(crate) leader: Option<LeaderAddress>,
    /// The highest that any node has seen.
    pub(crate) epoch: u64,
    pub(crate) nodes: Vec<NodeRow>,
    /// The oldest first.
    pub(crate) tenures: Vec<Led>,
    /// Why Consul does not say which nodes are registered, if so.
    pub(crate) coordinator_error: Option<String>,
}

/// A node in it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NodeRow {
    pub(crate) node: String,
    pub(crate) address: String,
    /// What the node says; `None` if it does not.
    pub(crate) status: Option<Status>,
    /// What its key in Consul says.
    pub(crate) document: Option<NodeDocument>,
    /// Why it says nothing.
    pub(crate) error: Option<String>,
}

pub(super) async fn overview(InStream(context): InStream) -> Response {
    fresh(JSON, context.overview().await)
}

impl ClusterContext {
    async fn overview(&self) -> Bytes {
        let making = async { self.make_overview().await.into() };
        let latest = self.shared.latest(&self.stream.name);
        latest.or_make(FRESH, making).await
    }

    async fn make_overview(&self) -> Vec<u8> {
        let members = self.members();
        let own = std::future::ready(Ok(self.parts.own.view(&self.stream)));
        let other = |client: Arc<PeerClient>, member: Member| async move {
            client.view::<NodeView>(member.target()).await
        };
        // Which nodes are registered matters for the next overview: those that are
        // alive are known in any case.
        let (views, refreshed) = tokio::join!(
            ask(self, &members, ANSWER_LIMIT, own, other),
            self.refresh_members(),
        );
        let documents = self.documents();
        let (mut nodes, mut seen) = (Vec::new(), Vec::new());
        for (Member { node, address }, view) in members.into_iter().zip(views) {
            let document = documents.iter().find(|document| document.node == node);
            let (status, error) = match view {
                Ok(NodeView { status, tenures }) => {
                    seen.push((node.clone(), tenures));
                    (Some(status), None)
                }
                Err(error) => (None, Some(error)),
            };
            nodes.push(NodeRow {
                document: document.and_then(|document| self.of_stream(document)),
                node,
                address,
                status,
                error,
            });
        }
        let statuses = || nodes.iter().filter_map(|row| row.status.as_ref());
        let overview = Overview {
            cluster: self.parts.cluster.clone(),
            node: self.node().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: timestamp(),
            leader: leader(statuses(), self.node()),
            epoch: statuses().map(|status| status.epoch).max().unwrap_or(0),
            tenures: merged(
                seen.iter()
                    .map(|(node, seen)| (node.as_str(), seen.clone())),
            ),
            nodes,
            coordinator_error: refreshed.err(),
        };
        serde_json::to_vec(&overview).unwrap_or_default()
    }
}

/// The node that says that it leads, or else the one that this node takes for the
/// leader.
fn leader<'a>(
    statuses: impl Iterator<Item = &'a Status> + Clone,
    own: &str,
) -> Option<LeaderAddress> {
    let leads = |status: &&Status| status.role == "leader";
    let leading = statuses.clone().filter(leads).max_by_key(|s| s.epoch);
    let said = leading.or_else(|| statuses.clone().find(|status| status.node == own));
    said.and_then(|status| status.leader.clone())
}
