//! Orders that come before the control thread can carry them out.

use super::order::{Order, StreamOrder};

/// Orders that wait; of those that replace each other, the last one.
#[derive(Debug, Default)]
pub(super) struct EarlyOrders(Vec<Order>);

impl EarlyOrders {
    /// Takes note of an order.
    pub(super) fn add(&mut self, order: Order) {
        match &order {
            // Nothing is led yet.
            Order::Shutdown | Order::Stream(_, StreamOrder::StepDown(_)) => return,
            Order::Stream(stream, order) => {
                let kind = std::mem::discriminant(order);
                self.0.retain(|early| {
                    !matches!(early, Order::Stream(of, early)
                        if of == stream && std::mem::discriminant(early) == kind)
                });
            }
            Order::Leave(left) => {
                self.0.retain(|early| match early {
                    Order::Stream(stream, _) => stream != left,
                    Order::Join(joining) => joining.stream != *left,
                    _ => true,
                });
                return;
            }
            Order::Join(_) => {}
        }
        self.0.push(order);
    }

    /// The orders, in their order.
    pub(super) fn into_orders(self) -> Vec<Order> {
        self.0
    }
}
