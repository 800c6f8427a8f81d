//! Orders to the control thread.

use tokio::sync::mpsc;

use sluice_leadership::Order;

/// Gives orders to the control thread, from which the stream has its role.
#[derive(Clone, Debug)]
pub(super) struct Orders(mpsc::Sender<Order>);

impl Orders {
    pub(super) const fn new(orders: mpsc::Sender<Order>) -> Self {
        Self(orders)
    }

    pub(super) async fn give(&self, order: Order) {
        if let Err(mpsc::error::SendError(order)) = self.0.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }
}
