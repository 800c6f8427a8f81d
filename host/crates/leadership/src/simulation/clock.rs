//! True time, and the clocks of nodes.

use sluice_types::clock::BootTime;

/// Nanoseconds of true time since the world began.
pub(super) type Time = u64;

pub(super) const MILLI: Time = 1_000_000;
pub(super) const SECOND: Time = 1000 * MILLI;

/// Where nodes' clocks begin, so that they can step back.
const BASE: u64 = 1_000_000 * SECOND;

/// One node's clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    base: u64,
    /// Nanoseconds a millisecond of true time.
    rate: u64,
}

impl Clock {
    /// A clock that goes by `millionths` of the true time.
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

    /// Puts it back, or says that it did not count so much.
    pub(super) const fn step_back(&mut self, by: u64) {
        self.base -= by;
    }
}
