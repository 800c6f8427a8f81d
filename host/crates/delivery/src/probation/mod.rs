//! Judges a new sink in its first time: whether it does clearly worse than its
//! predecessor, and what becomes of the records that it refuses meanwhile.

mod excess;
mod figures;
mod judge;
mod observed;
mod opinion;
mod refusals;
mod trial;

use tokio::time::Instant;

use crate::batch::Batch;
use crate::occupancy::QueueLimits;
use crate::watch::Watch;
use judge::Judge;
pub(crate) use observed::Observed;
use refusals::HeldRefusals;

/// The judge of the current sink, and the refusals that are not final yet.
#[derive(Debug)]
pub(crate) struct Probation {
    judge: Judge,
    refusals: HeldRefusals,
}

impl Probation {
    /// Watches the first sink of a tenure whose queue has these limits.
    pub(crate) fn new(watch: Watch, limits: QueueLimits) -> Self {
        Self {
            judge: Judge::new(watch),
            refusals: HeldRefusals::new(limits),
        }
    }

    /// Another sink has replaced the current one. Returns the records that are
    /// to be offered to it, in order.
    pub(crate) fn switched(&mut self, watch: Watch) -> Vec<Batch> {
        self.judge.switched(watch);
        self.refusals.take_in_order()
    }

    /// Records are about to be written to the sink.
    pub(crate) const fn offered(&mut self) {
        self.judge.offered();
    }

    /// What the sink did.
    pub(crate) fn observe(&mut self, observed: &Observed) {
        self.judge.observe(observed);
    }

    /// Keeps a refused record back. Returns it if its refusal is final: the
    /// predecessor would refuse it as well or does not come, or too much is kept
    /// back already.
    pub(crate) fn hold(&mut self, batch: Batch, reason: String) -> Option<(Batch, String)> {
        if !self.judge.mistrusts_refusals() {
            return Some((batch, reason));
        }
        let refused = self.refusals.hold(batch, reason);
        if self.refusals.is_half_full() {
            self.judge.hold_fills();
        }
        refused
    }

    /// Ends a probation whose time is over. `is_clear` if nothing is left of what
    /// the sink before has left. Returns the refusals that are final now.
    pub(crate) fn settle(&mut self, is_clear: bool) -> Vec<(Batch, String)> {
        self.judge.tick(is_clear);
        match self.judge.may_be_replaced() {
            true => self.refusals.due(),
            false => self.refusals.take(),
        }
    }

    /// No other sink comes, and nothing more is offered. Returns the refusals
    /// that are final; those of a sink that was to be replaced prove nothing.
    pub(crate) fn end(&mut self) -> Vec<(Batch, String)> {
        let held = self.refusals.take();
        if !self.judge.gives_way() {
            return held;
        }
        for (batch, reason) in held {
            batch.unknown(&format!(
                "a sink that was to be replaced has refused it: {reason}"
            ));
        }
        Vec::new()
    }

    /// No other sink comes.
    pub(crate) const fn end_pause(&mut self) {
        self.judge.end_pause();
    }

    /// When [`settle`](Self::settle) is due; `None` if it never is.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let due = [self.judge.due_at(), self.refusals.due_at()];
        due.into_iter().flatten().min()
    }

    /// Until when nothing is to be offered to the sink, because another one is
    /// about to replace it.
    pub(crate) const fn paused_until(&self) -> Option<Instant> {
        self.judge.paused_until()
    }
}
