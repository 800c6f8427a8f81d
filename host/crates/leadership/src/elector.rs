//! Joining and leaving the elections of streams other than the default one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::controls::Controls;
use super::joining::Joining;
use super::order::Order;
use super::peers::Peers;
use super::role::Role;
use sluice_types::documents::{ActiveDocument, NodeDocument};

/// Makes a node take part in the elections of more streams.
#[derive(Clone, Debug)]
pub struct Elector {
    pub(super) node: String,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) controls: Controls,
    pub(super) loads: watch::Sender<BTreeMap<String, u64>>,
}

impl Elector {
    /// Takes part in the election of this stream, of which the node cannot lead yet:
    /// see [`StreamOrder::Eligible`](super::StreamOrder::Eligible). `state` is what
    /// this node reports about its sink, and `active` what it reports about the sink
    /// that runs while it leads.
    pub async fn join(
        &self,
        stream: &str,
        state: watch::Receiver<NodeDocument>,
        active: watch::Receiver<Option<ActiveDocument>>,
    ) -> Controls {
        let (role_in, role) = watch::channel(Role::Follower { leader: None });
        let (nodes_in, nodes) = watch::channel(None);
        let peers = Peers::new(self.node.clone(), state.clone(), nodes);
        let joining = Joining {
            stream: stream.into(),
            state,
            active,
            role: role_in,
            nodes: nodes_in,
            peers: peers.clone(),
        };
        self.order(Order::Join(Box::new(joining))).await;
        Controls {
            role,
            peers,
            ..self.controls.clone()
        }
    }

    /// Releases the lock of this stream, if this node has it, and takes no further
    /// part in its election. When that is done, the sender of the stream's role is gone.
    pub async fn leave(&self, stream: &str) {
        self.order(Order::Leave(Arc::from(stream))).await;
    }

    /// Reports how many records a second streams took lately.
    pub fn report_loads(&self, loads: BTreeMap<String, u64>) {
        self.loads
            .send_if_modified(|current| std::mem::replace(current, loads.clone()) != loads);
    }

    /// What the control thread publishes of the default stream and of the node.
    #[must_use]
    pub const fn controls(&self) -> &Controls {
        &self.controls
    }

    async fn order(&self, order: Order) {
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }
}
