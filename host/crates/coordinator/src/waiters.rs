//! Blocking queries that wait for a change.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::store::{Changes, Interest};

#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: HashMap<u64, (Interest, oneshot::Sender<()>)>,
    next: u64,
}

impl Waiters {
    /// Adds a waiter. Returns its number, and a receiver that resolves when the
    /// query has to read again.
    pub(super) fn add(&mut self, interest: Interest) -> (u64, oneshot::Receiver<()>) {
        let (wake, woken) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, (interest, wake));
        (number, woken)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Wakes the waiters that the changes concern. There are a few hundred at
    /// most, so checking each is faster than keeping an index of them.
    pub(super) fn wake(&mut self, changes: &Changes) {
        let concerned = |_: &u64, (interest, _): &mut (Interest, _)| changes.concerns(interest);
        for (_, (_, wake)) in self.waiting.extract_if(concerned) {
            // The query may have ended.
            _ = wake.send(());
        }
    }
}
