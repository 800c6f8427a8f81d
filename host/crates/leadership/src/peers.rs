//! How this node compares with the other nodes that are alive.

use std::sync::Arc;

use tokio::sync::watch;

use super::lock::NO_EPOCH;
use sluice_types::documents::NodeDocument;

/// This node and the others.
#[derive(Clone, Debug)]
pub struct Peers {
    node: String,
    /// What this node's key holds, or will soon hold.
    own: watch::Receiver<NodeDocument>,
    /// `None` until Consul has answered.
    all: watch::Receiver<Option<Arc<Vec<NodeDocument>>>>,
}

impl Peers {
    /// Compares the node with this name with those of the documents in `all`,
    /// which is `None` until Consul has answered. `own` is what the node's own
    /// document says, or is about to.
    #[must_use]
    pub const fn new(
        node: String,
        own: watch::Receiver<NodeDocument>,
        all: watch::Receiver<Option<Arc<Vec<NodeDocument>>>>,
    ) -> Self {
        Self { node, own, all }
    }

    /// The documents of all nodes that are present, this one's included; `None`
    /// until Consul has answered.
    #[must_use]
    pub fn documents(&self) -> watch::Receiver<Option<Arc<Vec<NodeDocument>>>> {
        self.all.clone()
    }

    /// Whether another node is alive that has its sink prepared; `None` if that
    /// is not known yet.
    #[must_use]
    pub fn is_any_eligible(&self) -> Option<bool> {
        let all = self.all.borrow();
        let others = |state: &&NodeDocument| state.node != self.node;
        all.as_ref()
            .map(|all| all.iter().filter(others).any(|state| state.eligible))
    }

    /// The name of the node that clients reach at this address, if its document
    /// is known.
    #[must_use]
    pub fn name_at(&self, address: &str) -> Option<String> {
        let all = self.all.borrow();
        let mut all = all.iter().flat_map(|all| all.iter());
        let found = all.find(|state| state.address == address);
        found.map(|state| state.node.clone())
    }

    /// The highest epoch that any node has seen.
    pub(super) fn highest_epoch(&self) -> u64 {
        let all = self.all.borrow();
        let states = all.iter().flat_map(|all| all.iter());
        let epochs = states.map(|state| state.epoch);
        let possible = epochs.filter(|epoch| *epoch < NO_EPOCH);
        possible.max().unwrap_or_default()
    }

    /// Whether this node leaves the lock to others: one of them has its sink
    /// prepared and this one has not.
    pub(super) fn must_yield(&self) -> bool {
        // Before anything is known, others come first.
        !self.own.borrow().eligible && self.is_any_eligible().unwrap_or(true)
    }

    /// Waits until [`Self::must_yield`] is no longer `before`, and returns it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn document(node: &str, eligible: bool) -> NodeDocument {
        NodeDocument {
            eligible,
            ..NodeDocument::new(node)
        }
    }

    fn peers(own: bool, others: Option<&[(&str, bool)]>) -> Peers {
        let all = others.map(|others| {
            let others = others.iter();
            Arc::new(
                others
                    .map(|(node, eligible)| document(node, *eligible))
                    .collect(),
            )
        });
        let own = watch::channel(document("a", own)).1;
        Peers::new("a".to_owned(), own, watch::channel(all).1)
    }

    #[test]
    fn a_node_that_is_not_prepared_yields_to_one_that_is_and_to_no_other() {
        assert!(!peers(true, Some(&[("b", true)])).must_yield());
        assert!(peers(false, Some(&[("a", true), ("b", true)])).must_yield());
        assert!(!peers(false, Some(&[("a", true), ("b", false)])).must_yield());
        assert!(!peers(false, Some(&[])).must_yield());
        assert!(peers(false, None).must_yield(), "others come first");
        assert!(!peers(true, None).must_yield());
    }
}
