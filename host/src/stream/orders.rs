//! A stream's orders to the control thread.

use std::sync::Arc;

use tokio::sync::mpsc;

use sluice_leadership::{Order, StreamOrder};

/// Gives orders to the control thread, from which the stream has its role.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    stream: Arc<str>,
    orders: mpsc::Sender<Order>,
}

impl Orders {
    pub(super) fn new(stream: &str, orders: mpsc::Sender<Order>) -> Self {
        Self {
            stream: stream.into(),
            orders,
        }
    }

    pub(super) async fn give(&self, order: StreamOrder) {
        let order = Order::Stream(Arc::clone(&self.stream), order);
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }
}
