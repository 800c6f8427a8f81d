//! How worlds ended.

use super::clock::Time;

/// How a world ended, or many.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) violation: Option<String>,
    /// Events that elections took in.
    pub(super) told: u64,
    pub(super) tenures: u64,
    pub(super) decisions: u64,
    /// How long it took in the end until a node led.
    pub(super) recovery: Time,
    pub(super) trace: Vec<String>,
}

impl Ended {
    pub(super) fn add(&mut self, other: &Self) {
        self.told += other.told;
        self.tenures += other.tenures;
        self.decisions += other.decisions;
        self.recovery = self.recovery.max(other.recovery);
    }
}
