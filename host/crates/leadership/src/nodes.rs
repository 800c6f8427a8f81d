//! The watches of the nodes that are in the cluster.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::lock_client::LockClient;
use sluice_consul::{Entry, Instance, Pace};
use sluice_types::documents::NodeDocument;

/// How patient the watches are.
const PACE: Pace = Pace {
    wait: Duration::from_secs(30),
    retry: Duration::from_secs(1),
    pause: Duration::ZERO,
};

/// Keeps the set of the registered nodes' addresses.
pub(super) async fn watch_addresses(
    client: Arc<LockClient>,
    addresses: watch::Sender<Arc<HashSet<String>>>,
) {
    let service = &client.service.cluster;
    let read = |wait| client.client.instances(service, Some(wait));
    sluice_consul::watch(PACE, service, read, client_addresses, addresses).await;
}

fn client_addresses(instances: Vec<Instance>) -> Arc<HashSet<String>> {
    Arc::new(instances.iter().map(Instance::host_and_port).collect())
}

/// Keeps the documents of the nodes that are alive: a node's key is deleted
/// when its session ends.
pub(super) async fn watch_documents(
    client: Arc<LockClient>,
    nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
) {
    let prefix = client.cluster.nodes();
    let read = |wait| client.client.list(&prefix, Some(wait));
    let show = |entries| Some(documents(entries));
    sluice_consul::watch(PACE, &prefix, read, show, nodes).await;
}

/// Values that are not documents are left out.
fn documents(entries: Vec<Entry>) -> Arc<Vec<NodeDocument>> {
    let documents = entries.iter();
    let documents = documents.filter_map(|entry| serde_json::from_slice(&entry.value).ok());
    Arc::new(documents.collect())
}
