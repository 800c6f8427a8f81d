//! The nodes that live, as their keys `<c>/nodes/<name>` say: a key is deleted
//! when its node's session ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::lock::NO_EPOCH;
use super::lock_client::LockClient;
use sluice_consul::{Entry, Pace};
use sluice_types::documents::NodeDocument;

/// How patient the watches of the other nodes are.
pub(super) const NODES_PACE: Pace = Pace {
    wait: Duration::from_secs(30),
    retry: Duration::from_secs(1),
    pause: Duration::ZERO,
};

/// How this node compares with the others that live.
#[derive(Clone, Debug)]
pub struct Peers {
    node: String,
    /// What this node's key says, or is about to.
    own: watch::Receiver<NodeDocument>,
    /// `None` until Consul has answered.
    all: watch::Receiver<Option<Arc<Vec<NodeDocument>>>>,
}

impl Peers {
    pub(super) const fn new(
        node: String,
        own: watch::Receiver<NodeDocument>,
        all: watch::Receiver<Option<Arc<Vec<NodeDocument>>>>,
    ) -> Self {
        Self { node, own, all }
    }

    /// Whether a node lives, other than this one, that has its sink prepared;
    /// `None` if that is not known yet.
    #[must_use]
    pub fn is_any_eligible(&self) -> Option<bool> {
        let all = self.all.borrow();
        let others = |state: &&NodeDocument| state.node != self.node;
        all.as_ref()
            .map(|all| all.iter().filter(others).any(|state| state.eligible))
    }

    /// The highest epoch that any node has seen.
    pub(super) fn highest_epoch(&self) -> u64 {
        let all = self.all.borrow();
        let states = all.iter().flat_map(|all| all.iter());
        let epochs = states.map(|state| state.epoch);
        let possible = epochs.filter(|epoch| *epoch < NO_EPOCH);
        possible.max().unwrap_or_default()
    }

    /// Whether the lock is to be left to another node: it has its sink
    /// prepared and this one has not.
    pub(super) fn must_yield(&self) -> bool {
        // Before anything is known, others come first.
        !self.own.borrow().eligible && self.is_any_eligible().unwrap_or(true)
    }

    /// Waits until that is otherwise than before, and says how it is.
    pub(super) async fn changed(&mut self, before: bool) -> bool {
        while self.must_yield() == before {
            let changed = tokio::select! {
                changed = self.own.changed() => changed,
                changed = self.all.changed() => changed,
            };
            if changed.is_err() {
                // Nothing changes any more.
                std::future::pending::<()>().await;
            }
        }
        !before
    }
}

/// Keeps the list of the nodes that live.
pub(super) async fn watch_nodes(
    lock_client: Arc<LockClient>,
    nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
) {
    let prefix = lock_client.cluster.nodes();
    let read = |wait| lock_client.client.list(&prefix, Some(wait));
    let show = |entries: Vec<Entry>| {
        let documents = entries.iter();
        let documents = documents.filter_map(|entry| serde_json::from_slice(&entry.value).ok());
        Some(Arc::new(documents.collect()))
    };
    sluice_consul::watch(NODES_PACE, &prefix, read, show, nodes).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(node: &str, eligible: bool) -> NodeDocument {
        NodeDocument {
            node: node.to_owned(),
            address: String::new(),
            epoch: 0,
            eligible,
            error: None,
            sink: None,
        }
    }

    fn peers(own: bool, others: Option<&[(&str, bool)]>) -> Peers {
        let all = others.map(|others| {
            let others = others.iter();
            Arc::new(others.map(|(node, able)| document(node, *able)).collect())
        });
        let own = watch::channel(document("a", own)).1;
        Peers::new("a".to_owned(), own, watch::channel(all).1)
    }

    #[test]
    fn who_is_not_prepared_must_yield_by_who_is_and_by_nobody_else() {
        assert!(!peers(true, Some(&[("b", true)])).must_yield());
        assert!(peers(false, Some(&[("a", true), ("b", true)])).must_yield());
        assert!(!peers(false, Some(&[("a", true), ("b", false)])).must_yield());
        assert!(!peers(false, Some(&[])).must_yield());
        assert!(peers(false, None).must_yield(), "others come first");
        assert!(!peers(true, None).must_yield());
    }
}
