//! Adds up how much longer a sink's writes take than they should.

use std::time::Duration;

use tokio::time::Instant;

use super::figures::Usual;

/// How many times the usual time a write may take.
const FACTOR: u32 = 2;
/// How much longer than the usual time a write may take in any case.
const MARGIN: Duration = Duration::from_millis(5);
/// The most that one write counts.
const WRITE_MAX: Duration = Duration::from_millis(250);
/// With this much, the sink is too slow.
const LIMIT: Duration = Duration::from_millis(500);

/// The time that writes have taken beyond what they may, less the time that
/// others have saved since. Of several writes at a time, it grows no faster than
/// the time passes.
#[derive(Debug)]
pub(super) struct Excess {
    time: Duration,
    /// When the last write ended.
    last: Instant,
}

impl Excess {
    /// Nothing, as of now.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            time: Duration::ZERO,
            last: now,
        }
    }

    /// Counts a write that ends now. Returns why the sink is too slow, if it is.
    pub(super) fn add(
        &mut self,
        records: usize,
        took: Duration,
        usual: &Usual,
        now: Instant,
    ) -> Option<String> {
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.last, now));
        let expected = usual.write_time(records)?;
        let allowed = (FACTOR * expected).max(expected + MARGIN);
        self.time += took.saturating_sub(allowed).min(WRITE_MAX).min(passed);
        self.time = self.time.saturating_sub(allowed.saturating_sub(took));
        (self.time >= LIMIT).then(|| {
            format!(
                "its writes are too slow: one of {records} records took {:.1} ms, and one of the \
                 sink before takes {:.1} ms at most",
                took.as_secs_f64() * 1e3,
                expected.as_secs_f64() * 1e3
            )
        })
    }
}
