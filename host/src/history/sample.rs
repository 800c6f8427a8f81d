//! What a stream did between two readings, and what waited at the second.

use std::time::Duration;

use super::totals::{OUTCOMES, Totals};
use crate::meters::PROTOCOLS;
use crate::stream::Stream;

/// What waits in a stream at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Waiting {
    pub(super) queue_records: u64,
    pub(super) queue_bytes: u64,
    pub(super) journal_records: u64,
    pub(super) journal_bytes: u64,
}

impl Waiting {
    pub(super) fn of(stream: &Stream) -> Self {
        let (records, bytes) = stream.depth();
        let journal = stream.journal_status();
        Self {
            queue_records: u64::try_from(records).unwrap_or(u64::MAX),
            queue_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            journal_records: journal.as_ref().map_or(0, |journal| journal.backlog),
            journal_bytes: journal.as_ref().map_or(0, |journal| journal.bytes),
        }
    }
}

/// One sample. Rates are records per second, durations seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// When it was taken, in milliseconds since the Unix epoch.
    pub(super) time: u64,
    /// Records that clients were told are safe, by protocol.
    pub(super) accepted: [f32; PROTOCOLS],
    /// By outcome, of all protocols.
    pub(super) outcomes: [f32; OUTCOMES],
    /// Records that the sink confirmed.
    pub(super) delivered: f32,
    pub(super) dead_lettered: f32,
    pub(super) retried: f32,
    pub(super) waiting: Waiting,
    /// Percentiles of the sink's writes: 50, 90, 99; `None` if there were none.
    pub(super) write: [Option<f32>; 3],
    /// Percentiles of the time to the acknowledgement: 50 and 99.
    pub(super) acknowledge: [Option<f32>; 2],
}

impl Sample {
    /// What happened from `before` to `now`. `None` if no time has passed.
    pub(super) fn between(
        before: &Totals,
        now: &Totals,
        time: u64,
        waiting: Waiting,
    ) -> Option<Self> {
        let took = now.at.saturating_duration_since(before.at);
        if took.is_zero() {
            return None;
        }
        let rate = |now: u64, before: u64| per_second(now.saturating_sub(before), took);
        let write = now.write.since(&before.write);
        let acknowledge = now.acknowledge.since(&before.acknowledge);
        Some(Self {
            time,
            accepted: zip(now.accepted, before.accepted, rate),
            outcomes: zip(now.outcomes, before.outcomes, rate),
            delivered: rate(now.delivered, before.delivered),
            dead_lettered: rate(now.dead_lettered, before.dead_lettered),
            retried: rate(now.retried, before.retried),
            waiting,
            write: [0.5, 0.9, 0.99].map(|share| write.quantile(share).map(narrow)),
            acknowledge: [0.5, 0.99].map(|share| acknowledge.quantile(share).map(narrow)),
        })
    }
}

fn zip<const N: usize>(
    now: [u64; N],
    before: [u64; N],
    rate: impl Fn(u64, u64) -> f32,
) -> [f32; N] {
    let mut rates = [0.0; N];
    for (place, (now, before)) in rates.iter_mut().zip(now.into_iter().zip(before)) {
        *place = rate(now, before);
    }
    rates
}

/// Nobody sees more digits in a plot.
#[expect(clippy::cast_precision_loss, reason = "a plot needs no 52 bits")]
fn per_second(count: u64, took: Duration) -> f32 {
    narrow((count as f64 / took.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a plot needs no 52 bits")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
impl Sample {
    /// A sample of this time, in which so many records came per second.
    pub(super) fn fake(time: u64, native: f32) -> Self {
        let mut accepted = [0.0; PROTOCOLS];
        accepted[0] = native;
        Self {
            time,
            accepted,
            outcomes: [native, 0.0, 0.0, 0.0, 0.0],
            delivered: native,
            dead_lettered: 0.0,
            retried: 0.0,
            waiting: Waiting::default(),
            write: [Some(0.001), None, None],
            acknowledge: [None; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::metrics::DurationHistogram;
    use tokio::time::Instant;

    #[test]
    fn a_sample_is_the_difference_of_two_readings_by_time() {
        let mut before = Totals::zero(Instant::now());
        before.accepted[1] = 1000;
        before.delivered = 7;
        let histogram = DurationHistogram::default();
        histogram.observe(Duration::from_secs(9));
        before.write = histogram.counts();
        let mut now = Totals {
            at: before.at + Duration::from_secs(4),
            ..before
        };
        now.accepted[1] += 10;
        now.outcomes[0] += 10;
        now.retried += 1;
        histogram.observe(Duration::from_millis(1));
        now.write = histogram.counts();
        let sample = Sample::between(&before, &now, 5, Waiting::default()).unwrap();
        assert_eq!((sample.accepted[0], sample.accepted[1]), (0.0, 2.5));
        assert_eq!((sample.delivered, sample.retried), (0.0, 0.25));
        assert!(sample.write[2].unwrap() < 0.002, "{sample:?}");
        assert_eq!(sample.acknowledge, [None; 2]);
        let same = Sample::between(&now, &now, 5, Waiting::default());
        assert_eq!(same, None);
    }
}
