//! Asks the other nodes for what this one cannot do because Consul does not answer
//! it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::leader_client::LeaderClient;
use super::target::Target;
use super::wire::AssistRequest;
use sluice_leadership::{Peers, Plea};
use sluice_types::error_chain::chain;

/// The time for an answer; it takes the node two calls to Consul.
const LIMIT: Duration = Duration::from_secs(2);

/// Passes on what the control thread asks of the other nodes.
pub(crate) async fn pass_on(
    mut pleas: mpsc::Receiver<Plea>,
    node: String,
    nodes: Arc<LeaderClient>,
    peers: Peers,
) {
    let mut open = JoinSet::new();
    while let Some(plea) = pleas.recv().await {
        while open.try_join_next().is_some() {}
        let (node, nodes, peers) = (node.clone(), Arc::clone(&nodes), peers.clone());
        open.spawn(async move {
            let request = AssistRequest {
                stream: plea.stream.to_string(),
                assistance: plea.assistance,
            };
            let is_done = timeout(LIMIT, ask_all(&request, &node, &nodes, &peers)).await;
            // The control thread may have given up waiting.
            _ = plea.answer.send(is_done.unwrap_or(false));
        });
    }
}

/// Asks all other nodes at a time; whether one of them could do it.
async fn ask_all(request: &AssistRequest, node: &str, nodes: &LeaderClient, peers: &Peers) -> bool {
    let client = match nodes.client() {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(error, "cannot ask other nodes to ask Consul");
            return false;
        }
    };
    let all = peers.documents().borrow().clone();
    let others = all.iter().flat_map(|all| all.iter());
    let others = others.filter(|other| other.node != node);
    let mut answers: FuturesUnordered<_> = others
        .map(|other| {
            let target = Target {
                node: &other.node,
                address: &other.address,
            };
            let client = Arc::clone(&client);
            async move { client.assist(target, request, LIMIT).await }
        })
        .collect();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => tracing::debug!(
                error = chain(&error),
                "another node could not ask Consul for this one"
            ),
        }
    }
    false
}
