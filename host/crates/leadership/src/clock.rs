//! The clock that the driver reads and sleeps by.

use std::time::Duration;

use sluice_types::clock::BootTime;

/// The machine's clock, or that of a node in a simulated world.
#[derive(Clone, Debug)]
pub(super) enum Clock {
    /// `CLOCK_BOOTTIME`, and the timers of tokio.
    Machine,
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedClock),
}

impl Clock {
    /// The current reading.
    pub(super) fn now(&self) -> BootTime {
        match self {
            Self::Machine => BootTime::now(),
            #[cfg(test)]
            Self::Simulated(clock) => clock.now(),
        }
    }

    /// Waits for at least this long.
    pub(super) async fn sleep(&self, duration: Duration) {
        match self {
            Self::Machine => tokio::time::sleep(duration).await,
            #[cfg(test)]
            Self::Simulated(clock) => clock.sleep(duration).await,
        }
    }
}
