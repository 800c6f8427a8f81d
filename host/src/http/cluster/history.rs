//! `GET /api/v1/cluster/history`: the last 15 minutes of all nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::asking::ask;
use super::context::{ClusterContext, InStream, Member};
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

pub(super) async fn history(InStream(context): InStream) -> Response {
    fresh_json(&context.histories().await)
}

impl ClusterContext {
    async fn histories(&self) -> Histories {
        let members = self.members();
        let own = std::future::ready(self.own_history());
        let other = |client: Arc<PeerClient>, member: Member| async move {
            client.history(member.target()).await
        };
        let answers = ask(self, &members, ANSWER_LIMIT, own, other).await;
        let nodes = members.into_iter().zip(answers);
        Histories {
            nodes: nodes
                .map(|(member, answer)| NodeHistory::of(member.node, answer))
                .collect(),
        }
    }

    fn own_history(&self) -> Result<Box<RawValue>, String> {
        let history = self.parts.histories.of(&self.stream, 0);
        to_raw_value(&history).map_err(|error| error.to_string())
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
