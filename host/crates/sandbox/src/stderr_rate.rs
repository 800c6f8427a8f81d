//! How much of what sinks write to stderr reaches the node's log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes of the node's log all sinks together may fill in a
/// [`PERIOD`].
const BYTES: usize = 256 << 10;
/// What a line costs beyond its text: its time, level and plugin.
const LINE_COST: usize = 256;
const PERIOD: Duration = Duration::from_secs(1);

/// The rate of the process. All instances share it, so that a sink gains nothing
/// by being replaced.
pub(super) static NODE_RATE: StderrRate = StderrRate::new();

/// A bound on what is logged per second.
#[derive(Debug)]
pub(super) struct StderrRate(Mutex<Period>);

#[derive(Debug)]
struct Period {
    began: Option<Instant>,
    used: usize,
}

impl StderrRate {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Period {
            began: None,
            used: 0,
        }))
    }

    /// Whether a line of so many bytes may be logged now.
    pub(super) fn admits(&self, line: usize, now: Instant) -> bool {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began| now.saturating_duration_since(began) >= PERIOD;
        if period.began.is_none_or(is_over) {
            *period = Period {
                began: Some(now),
                used: 0,
            };
        }
        let used = period.used.saturating_add(line).saturating_add(LINE_COST);
        if used > BYTES {
            return false;
        }
        period.used = used;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_so_many_bytes_short_lines_included() {
        let rate = StderrRate::new();
        let now = Instant::now();
        for (seconds, line) in [(0, 8192), (10, 0)] {
            let at = now + PERIOD * seconds;
            let admitted = (0..100_000).filter(|_| rate.admits(line, at)).count();
            assert_eq!(admitted, BYTES / (line + LINE_COST));
            assert!(rate.admits(line, at + PERIOD));
        }
    }
}
