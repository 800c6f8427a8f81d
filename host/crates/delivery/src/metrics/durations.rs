//! A histogram of durations that is observed without a lock, and can be read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bound of the first bucket, in nanoseconds; each is twice as wide as
/// the one before.
const FIRST_NANOS: u64 = 16_000;
/// How many buckets have an upper bound; the last one's is 16.8 s.
const BOUNDED: usize = 21;
/// With the one that has none.
pub(super) const BUCKETS: usize = BOUNDED + 1;

/// A histogram of durations. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct DurationHistogram(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS],
    /// The sum of all durations, in nanoseconds.
    sum: AtomicU64,
}

/// What a histogram has counted, at some moment or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationCounts {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl DurationHistogram {
    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_in(duration);
    }

    /// Counts a duration. Returns the index of its bucket.
    pub(super) fn observe_in(&self, duration: Duration) -> usize {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket(nanos);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum.fetch_add(nanos, Ordering::Relaxed);
        bucket
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> DurationCounts {
        DurationCounts {
            counts: self.0.counts.each_ref().map(load),
            sum: load(&self.0.sum),
        }
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The bucket of a duration: the first one whose upper bound is not below it.
fn bucket(nanos: u64) -> usize {
    let widths = nanos.div_ceil(FIRST_NANOS).max(1);
    // The least power of two that is not below it.
    let power = u64::BITS - (widths - 1).leading_zeros();
    usize::try_from(power).map_or(BOUNDED, |power| power.min(BOUNDED))
}

/// The upper bound of each bucket, in seconds.
pub(super) fn bounds() -> impl Iterator<Item = f64> {
    let first = Duration::from_nanos(FIRST_NANOS).as_secs_f64();
    let bounded = std::iter::successors(Some(first), |bound| Some(2.0 * bound));
    bounded.take(BOUNDED).chain([f64::INFINITY])
}

impl DurationCounts {
    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        since.sum = since.sum.saturating_sub(earlier.sum);
        for (count, before) in since.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        since
    }

    /// Adds what another histogram has counted.
    pub fn add(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        for (count, added) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(added);
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all durations, in seconds.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// Of each bucket, its upper bound in seconds and its count.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        bounds().zip(self.counts)
    }

    /// The duration in seconds below which this share of all is (0.99 for the 99th
    /// percentile), estimated within its bucket as Prometheus does; `None` if
    /// nothing was counted. Above the last bound, it is that bound.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = share * float(total);
        let (mut below, mut lower) = (0.0, 0.0);
        for (upper, count) in self.buckets() {
            let count = float(count);
            if upper.is_infinite() {
                break;
            }
            if count > 0.0 && below + count >= rank {
                let part = ((rank - below) / count).clamp(0.0, 1.0);
                return Some(lower + (upper - lower) * part);
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

/// Counts are far below where this would lose anything.
#[expect(clippy::cast_precision_loss, reason = "2^53 durations take centuries")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl TypedMetric for DurationHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for DurationHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let buckets: Vec<_> = counts.buckets().collect();
        let sum = counts.sum().as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.total(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_reaches_it() {
        for (index, bound) in bounds().take(BOUNDED).enumerate() {
            let nanos = FIRST_NANOS << index;
            assert!((bound - Duration::from_nanos(nanos).as_secs_f64()).abs() < 1e-9);
            assert_eq!(bucket(nanos), index, "{bound}");
            assert_eq!(bucket(nanos + 1), index + 1, "{bound}");
        }
        assert_eq!((bucket(0), bucket(1), bucket(u64::MAX)), (0, 0, BOUNDED));
    }

    #[test]
    fn quantiles_are_of_what_was_counted_since() {
        let histogram = DurationHistogram::default();
        assert_eq!(histogram.counts().quantile(0.5), None);
        for _ in 0..1000 {
            histogram.observe(Duration::from_secs(10));
        }
        let before = histogram.counts();
        for _ in 0..90 {
            histogram.observe(Duration::from_millis(1));
        }
        for _ in 0..10 {
            histogram.observe(Duration::from_millis(100));
        }
        let since = histogram.counts().since(&before);
        assert_eq!((since.total(), since.sum().as_millis()), (100, 1090));
        let quantile = |share| since.quantile(share).unwrap();
        // The bounds around 1 ms and 100 ms.
        assert!((0.000_512..=0.001_024).contains(&quantile(0.5)));
        assert!((0.000_512..=0.001_024).contains(&quantile(0.9)));
        assert!((0.065_536..=0.131_072).contains(&quantile(0.99)));
    }

    #[test]
    fn what_is_above_all_bounds_is_shown_as_the_last() {
        let histogram = DurationHistogram::default();
        histogram.observe(Duration::from_secs(60));
        let quantile = histogram.counts().quantile(0.5).unwrap();
        assert!((quantile - 16.777_216).abs() < 1e-6, "{quantile}");
    }
}
