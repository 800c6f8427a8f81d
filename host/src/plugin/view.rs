//! What other parts of the node see of the plugin controller.

use tokio::sync::watch;

use super::report::Choice;
use super::state::PluginState;
use sluice_types::clock::timestamp;
use sluice_types::documents::{ActiveDocument, NodeDocument};
use sluice_types::plugin::PluginStatus;

/// What other parts of the node see of the plugin controller.
#[derive(Clone, Debug)]
pub(crate) struct ControllerView {
    /// The sinks that could run, for the stream.
    pub(crate) choice: watch::Receiver<Choice>,
    /// For the status and readiness.
    pub(crate) status: watch::Receiver<PluginStatus>,
    /// For this node's key in Consul.
    pub(crate) node_state: watch::Receiver<NodeDocument>,
    /// For `<c>/active` while this node leads.
    pub(crate) active: watch::Receiver<Option<ActiveDocument>>,
}

/// The sending side of a [`ControllerView`].
#[derive(Debug)]
pub(super) struct Publisher {
    /// This node's name.
    node: String,
    choice: watch::Sender<Choice>,
    status: watch::Sender<PluginStatus>,
    node_state: watch::Sender<NodeDocument>,
    active: watch::Sender<Option<ActiveDocument>>,
}

impl Publisher {
    /// Publishes the first state. Nothing is active yet.
    pub(super) fn new(node: String, state: &mut PluginState) -> (Self, ControllerView) {
        let status = state.status(timestamp);
        let document = state.node_document(&node, &status);
        let (choice_in, choice) = watch::channel(state.choice());
        let (status_in, status) = watch::channel(status);
        let (node_state_in, node_state) = watch::channel(document);
        let (active_in, active) = watch::channel(None);
        let publisher = Self {
            node,
            choice: choice_in,
            status: status_in,
            node_state: node_state_in,
            active: active_in,
        };
        let view = ControllerView {
            choice,
            status,
            node_state,
            active,
        };
        (publisher, view)
    }

    /// This node's name.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Publishes what has changed.
    pub(super) fn publish(&self, state: &mut PluginState) {
        let status = state.status(timestamp);
        let active = state.active_document(&self.node, &status);
        replace(&self.active, active);
        replace(&self.node_state, state.node_document(&self.node, &status));
        replace(&self.status, status);
        let choice = state.choice();
        self.choice.send_if_modified(|before| {
            let changed = !before.is_same_as(&choice);
            *before = choice;
            changed
        });
    }
}

fn replace<T: PartialEq>(sender: &watch::Sender<T>, now: T) {
    sender.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
}
