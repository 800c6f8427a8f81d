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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn of_orders_that_replace_each_other_the_last_one_waits() {
        let mut early = EarlyOrders::default();
        let stream: Arc<str> = Arc::from("a");
        let order = |order| Order::Stream(Arc::clone(&stream), order);
        early.add(order(StreamOrder::Eligible(true)));
        early.add(order(StreamOrder::Hesitate(true)));
        early.add(order(StreamOrder::Eligible(false)));
        early.add(Order::Stream(Arc::from("b"), StreamOrder::Eligible(true)));
        let orders = format!("{:?}", early.into_orders());
        assert!(orders.contains("Hesitate(true)"), "{orders}");
        assert!(orders.contains("Eligible(false)"), "{orders}");
        assert_eq!(orders.matches("Eligible(true)").count(), 1, "{orders}");
    }

    #[test]
    fn a_stream_that_is_left_leaves_no_order() {
        let mut early = EarlyOrders::default();
        early.add(Order::Stream(Arc::from("a"), StreamOrder::Eligible(true)));
        early.add(Order::Leave(Arc::from("a")));
        assert!(early.into_orders().is_empty());
    }
}
