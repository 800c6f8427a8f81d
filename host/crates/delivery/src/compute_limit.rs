//! How long a sink may compute on a batch: normally as long as its own limit
//! says, but for a while after it spun for all of that time only in proportion
//! to the time that it usually takes. Where the time decides about a record, the
//! sink always has its full time.

use std::time::Duration;

use tokio::time::Instant;

/// The number of writes whose duration is remembered.
const SAMPLES: usize = 256;
/// A sink may always compute for this long, however fast it usually is.
const COMPUTE_MIN: Duration = Duration::from_millis(100);
/// How many times its usual duration a write may compute.
const USUAL_FACTOR: u32 = 20;
/// How long the sink is held to its usual duration after an alarm.
const ALARM_TIME: Duration = Duration::from_secs(10);

/// How long a sink may compute on a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComputeTime {
    /// Its full time, or less for a while after it spun.
    Usual,
    /// Its full time in any case.
    Full,
}

/// Remembers how long writes take.
#[derive(Debug, Default)]
pub(crate) struct ComputeLimit {
    samples: Vec<Duration>,
    next: usize,
    alarmed: Option<Instant>,
}

impl ComputeLimit {
    /// A write was confirmed after this time.
    pub(crate) fn wrote(&mut self, took: Duration) {
        match self.samples.get_mut(self.next) {
            Some(oldest) => *oldest = took,
            None => self.samples.push(took),
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// The sink was still computing when its full time was over. A shortened
    /// time proves less, and does not prolong the alarm.
    pub(crate) fn alarm(&mut self) {
        self.alarmed = Some(Instant::now());
    }

    /// Forgets everything, for another sink.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// How long the next write may compute. The sink's own limit applies too.
    pub(crate) fn of(&self, time: ComputeTime) -> Duration {
        let is_alarmed = self
            .alarmed
            .is_some_and(|alarmed| alarmed.elapsed() < ALARM_TIME);
        match time {
            ComputeTime::Usual if is_alarmed => COMPUTE_MIN.max(USUAL_FACTOR * self.p99()),
            ComputeTime::Usual | ComputeTime::Full => Duration::MAX,
        }
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * 99 / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sink_is_held_to_its_usual_time_only_after_an_alarm() {
        let mut limit = ComputeLimit::default();
        for _ in 0..1000 {
            limit.wrote(Duration::from_millis(1));
        }
        assert_eq!(limit.of(ComputeTime::Usual), Duration::MAX);
        limit.alarm();
        assert_eq!(limit.of(ComputeTime::Usual), COMPUTE_MIN);
        assert_eq!(limit.of(ComputeTime::Full), Duration::MAX);
        for _ in 0..SAMPLES / 2 {
            limit.wrote(Duration::from_millis(50));
        }
        assert_eq!(limit.of(ComputeTime::Usual), Duration::from_secs(1));
        tokio::time::advance(ALARM_TIME).await;
        assert_eq!(limit.of(ComputeTime::Usual), Duration::MAX);
        limit.alarm();
        assert_eq!(limit.of(ComputeTime::Usual), Duration::from_secs(1));
        limit.forget();
        assert_eq!(limit.of(ComputeTime::Usual), Duration::MAX);
    }
}
