//! True time, and the clocks of nodes.

use sluice_types::clock::BootTime;

/// Nanoseconds of true time since the world began.
pub(super) type Time = u64;

pub(super) const MILLI: Time = 1_000_000;
pub(super) const SECOND: Time = 1000 * MILLI;

/// Where the clocks of nodes begin, so that they can step back.
const BASE: u64 = 1_000_000 * SECOND;

/// One node's clock.
#[derive(Clone, Debug)]
pub(super) struct NodeClock {
    base: u64,
    /// Nanoseconds per millisecond of true time.
    rate: u64,
}

impl NodeClock {
    /// A clock that runs at `millionths` of the true rate.
    pub(super) const fn new(offset: u64, millionths: u64) -> Self {
        Self {
            base: BASE + offset,
            rate: millionths,
        }
    }

    pub(super) const fn at(&self, now: Time) -> BootTime {
        BootTime::from_nanos(self.base + now / MILLI * self.rate + now % MILLI * self.rate / MILLI)
    }

    /// When it will show this.
    pub(super) const fn shows(&self, reading: BootTime) -> Time {
        let elapsed = reading.as_nanos().saturating_sub(self.base);
        elapsed / self.rate * MILLI + elapsed % self.rate * MILLI / self.rate + 1
    }

    /// Sets it back, or makes up for time that it should not have counted.
    pub(super) const fn step_back(&mut self, by: u64) {
        self.base -= by;
    }
}
