//! Who waits for a change, and for which.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::store::{Changes, Interest};

#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: HashMap<u64, (Interest, oneshot::Sender<()>)>,
    next: u64,
}

impl Waiters {
    /// Waits from now on: the number to leave by, and what ends when it is
    /// time to look again.
    pub(super) fn enter(&mut self, interest: Interest) -> (u64, oneshot::Receiver<()>) {
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

    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Wakes those whom the changes concern. A few hundred wait at most, so
    /// that asking each is quicker than an index that has to be kept.
    pub(super) fn wake(&mut self, changes: &Changes) {
        let concerned = |_: &u64, (interest, _): &mut (Interest, _)| changes.concerns(interest);
        for (_, (_, wake)) in self.waiting.extract_if(concerned) {
            // Who has gone need not be woken.
            _ = wake.send(());
        }
    }
}
