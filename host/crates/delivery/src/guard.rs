//! How long a sink may compute on a batch: as long as its limit says, but
//! after it was caught spinning only as long as it usually takes.

use std::time::{Duration, Instant};

/// How many writes are remembered.
const WRITES: usize = 256;
/// The least that a sink may compute, however quick it usually is.
const LEAST: Duration = Duration::from_millis(100);
/// How much longer than usual a write may compute.
const FACTOR: u32 = 20;
/// How long the sink is watched after it was caught.
const ALARM: Duration = Duration::from_secs(10);

/// Remembers how long writes take.
#[derive(Debug, Default)]
pub(super) struct Guard {
    recent: Vec<Duration>,
    next: usize,
    alarmed: Option<Instant>,
}

impl Guard {
    /// A write was confirmed after so long.
    pub(super) fn wrote(&mut self, took: Duration) {
        match self.recent.get_mut(self.next) {
            Some(oldest) => *oldest = took,
            None => self.recent.push(took),
        }
        self.next = (self.next + 1) % WRITES;
    }

    /// The sink did not come to an end.
    pub(super) fn alarm(&mut self) {
        self.alarmed = Some(Instant::now());
    }

    /// Nothing is known of the sink that comes.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// How long the next write may compute; the sink's own limit goes before.
    pub(super) fn compute(&self) -> Duration {
        match self.alarmed {
            Some(alarmed) if alarmed.elapsed() < ALARM => LEAST.max(FACTOR * self.p99()),
            _ => Duration::MAX,
        }
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * 99 / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_held_to_its_habits_only_after_an_alarm() {
        let mut guard = Guard::default();
        for _ in 0..1000 {
            guard.wrote(Duration::from_millis(1));
        }
        assert_eq!(guard.compute(), Duration::MAX);
        guard.alarm();
        assert_eq!(guard.compute(), LEAST);
        for _ in 0..WRITES / 2 {
            guard.wrote(Duration::from_millis(50));
        }
        assert_eq!(guard.compute(), Duration::from_secs(1));
        guard.forget();
        assert_eq!(guard.compute(), Duration::MAX);
    }
}
