//! `GET /api/v1/cluster/history`: the last 15 minutes of all nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;

use super::asking::ask_other;
use super::context::{ClusterContext, Member};
use super::problem::fresh_json;
use crate::peer::PeerClient;

/// How long a node may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize)]
struct Histories {
    nodes: Vec<NodeHistory>,
}

#[derive(Debug, Serialize)]
struct NodeHistory {
    node: String,
    /// As the node gives it.
    history: Option<Box<RawValue>>,
    /// Why it gives none.
    error: Option<String>,
}

pub(super) async fn history(State(context): State<Arc<ClusterContext>>) -> Response {
    fresh_json(&context.histories().await)
}

impl ClusterContext {
    async fn histories(&self) -> Histories {
        let client = self.client();
        let asking = self.members().into_iter().map(|member| {
            let node = member.node.clone();
            let ask = |client: Arc<PeerClient>, member: Member| async move {
                client.history(member.target()).await
            };
            let asking = ask_other(client.clone(), member, ANSWER_LIMIT, ask);
            asking.map(|answer| NodeHistory::of(node, answer))
        });
        Histories {
            nodes: join_all(asking).await,
        }
    }
}

impl NodeHistory {
    fn of(node: String, answer: Result<Box<RawValue>, String>) -> Self {
        let (history, error) = match answer {
            Ok(history) => (Some(history), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            node,
            history,
            error,
        }
    }
}
