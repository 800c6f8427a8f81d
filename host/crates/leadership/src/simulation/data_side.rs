//! The data side of nodes: it checks the lease, writes, checks again, and
//! acknowledges.

use rand::RngExt;

use super::clock::MILLI;
use super::node::{HeldLease, Waiting};
use super::without::Without;
use super::world::World;
use sluice_types::lease::Standing;

impl World {
    /// The lease is checked; then a write begins.
    pub(super) fn look_for_work(&mut self, node: usize) -> Result<(), String> {
        let place = &self.nodes[node];
        let is_valid = place.valid(self.now).is_some();
        let checks = self.without != Some(Without::CheckBeforeWrite);
        let held = place.lease.clone().filter(|_| is_valid || !checks);
        let Some(held) = held else {
            let pause = self.random.random_range(1..500) * MILLI;
            self.schedule_for(node, self.now + pause, Waiting::Idle);
            return Ok(());
        };
        self.checker.decided(self.now, held.tenure, "writes")?;
        let most = match self.random.random_bool(0.1) {
            true => 3000,
            false => 50,
        };
        let took = self.random.random_range(0..most) * MILLI;
        self.schedule_for(node, self.now + took, Waiting::Written(held));
        Ok(())
    }

    /// The lease is checked again; then the write is acknowledged, or waits.
    pub(super) fn written(&mut self, node: usize, held: HeldLease) -> Result<(), String> {
        let standing = held.lease.at(self.nodes[node].clock.at(self.now));
        let checks = self.without != Some(Without::CheckBeforeAcknowledgement);
        let pause = self.random.random_range(1..200) * MILLI;
        match standing {
            Standing::Suspended if checks => {
                self.schedule_for(node, self.now + pause, Waiting::Written(held));
                return Ok(());
            }
            Standing::Revoked if checks => {}
            _ => {
                let epoch = held.tenure.epoch;
                self.note(|| format!("n{node} acknowledges under epoch {epoch}"));
                self.decisions += 1;
                self.checker
                    .decided(self.now, held.tenure, "acknowledges")?;
            }
        }
        self.schedule_for(node, self.now + pause, Waiting::Idle);
        Ok(())
    }
}
