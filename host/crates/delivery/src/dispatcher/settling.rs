//! What becomes of records that the sink has answered for.

use super::Dispatcher;
use crate::batch::{Batch, Settled};
use crate::counting::to_u64;
use crate::dead_letters::Cause;
use crate::isolation::Piece;
use sluice_types::clock::BootTime;
use sluice_types::lease::Standing;
use sluice_types::outcome::{Failure, Refusal};

#[cfg(test)]
mod tests;

impl Dispatcher {
    /// Makes the refusals final that are kept back no longer, unless the tenure is
    /// over.
    pub(super) fn settle_refusals(&mut self) {
        if !matches!(self.lease.ask(), Standing::Revoked) {
            let refusals = self.probation.settle(self.isolation.is_clear());
            self.reject(refusals);
        }
    }

    /// The refusals of these records are final.
    pub(super) fn reject(&self, refusals: impl IntoIterator<Item = (Batch, String)>) {
        for (batch, reason) in refusals {
            self.rejects.refuse(batch, reason, self.writer.identity());
        }
    }

    /// Acknowledges what the sink accepted, at a time at which the lease is
    /// valid. Returns what is to be offered again.
    pub(super) fn confirm(
        &mut self,
        now: BootTime,
        piece: Piece,
        refusals: Vec<Refusal>,
    ) -> Option<(Batch, Failure)> {
        let is_probe = piece.is_probe();
        let batch = piece.batch;
        if let Err(error) = self.trace(now, &batch, &refusals) {
            tracing::error!(%error, "failed to write the trace of acknowledgements");
            self.unknown(batch, "its acknowledgement could not be traced");
            return None;
        }
        self.backoff.reset();
        let confirmed = batch.records.len() - refusals.len();
        self.count(&batch, &refusals, confirmed);
        self.tail.delivered(&batch, &refusals);
        if confirmed > 0 {
            self.stall.ended();
            self.retries.succeeded();
            for guilty in self.isolation.confirmed(is_probe) {
                let plugin = self.writer.identity();
                self.rejects
                    .set_aside(guilty.batch, Cause::Poison, guilty.reason, plugin);
            }
        }
        if refusals.is_empty() {
            batch.acknowledge();
            return None;
        }
        let Settled { retry, refused } = batch.settle(refusals);
        for (batch, reason) in refused {
            self.refuse(batch, reason);
        }
        retry
    }

    /// The sink refused this record for good.
    pub(super) fn refuse(&mut self, batch: Batch, reason: String) {
        self.stall.ended();
        self.retries.succeeded();
        let refused = self.probation.hold(batch, reason);
        self.reject(refused);
    }

    fn trace(&self, now: BootTime, batch: &Batch, refusals: &[Refusal]) -> std::io::Result<()> {
        let Some(trace) = &self.trace else {
            return Ok(());
        };
        let records = batch.newly_acknowledged(refusals).map(|record| record.id);
        trace.decided(now, self.lease.epoch(), records)
    }

    fn count(&self, batch: &Batch, refusals: &[Refusal], confirmed: usize) {
        let acknowledged = if batch.is_acknowledged() {
            batch.newly_acknowledged(refusals).count()
        } else {
            confirmed
        };
        self.metrics.acknowledged.inc_by(to_u64(acknowledged));
        self.metrics.delivered.inc_by(to_u64(confirmed));
    }
}
