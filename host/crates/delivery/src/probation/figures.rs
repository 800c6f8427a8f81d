//! How a sink does: how long its writes take by the size of the batch, what
//! share of the records it refuses, and whether it delivers at all.

use std::time::Duration;

use super::observed::Observed;

/// The writes that are remembered per class of sizes.
const SAMPLES: usize = 32;
/// The fewest writes by which a class is judged.
const SAMPLES_MIN: usize = 8;
/// The fewest records by which a share is judged.
const RECORDS_MIN: u32 = 10;
/// With this many records, the older ones begin to count less.
const RECORDS_MAX: u32 = 8192;
/// How many standard deviations a share must lie beyond chance.
const CONFIDENCE: f64 = 2.0;

/// What a sink has done so far.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// By the binary logarithm of the batch's size.
    times: Vec<Times>,
    pub(super) refusals: Share,
    /// How often it has delivered nothing since it last delivered.
    failures: u32,
}

/// What is usual of a sink.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// Sizes of batches, and the median time of batches of this size and up to
    /// twice as many records.
    medians: Vec<(u32, Duration)>,
    /// The share of records that it refuses; `None` if it had too few.
    pub(super) refused: Option<f64>,
    failures: u32,
}

/// The latest write times of one class.
#[derive(Clone, Debug, Default)]
struct Times {
    samples: Vec<Duration>,
    next: usize,
}

/// Refused records among all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    all: u32,
    refused: u32,
}

impl Figures {
    pub(super) fn add(&mut self, observed: &Observed) {
        match observed {
            Observed::Wrote {
                records, refused, ..
            } => {
                self.failures = 0;
                self.refusals.add(*records, *refused);
                if let Some((offered, took)) = observed.timed() {
                    self.add_time(offered, took);
                }
            }
            Observed::AsksAgain(_) | Observed::Hung(_) | Observed::Broke(_) => {
                self.failures = self.failures.saturating_add(1);
            }
            Observed::Nothing => {}
        }
    }

    fn add_time(&mut self, records: usize, took: Duration) {
        let class = size(records).ilog2() as usize;
        if self.times.len() <= class {
            self.times.resize_with(class + 1, Times::default);
        }
        if let Some(times) = self.times.get_mut(class) {
            times.add(took);
        }
    }

    pub(super) fn usual(&self) -> Usual {
        let classes = self.times.iter().zip(0..);
        let medians = classes.filter_map(|(times, class)| Some((1_u32 << class, times.median()?)));
        Usual {
            medians: medians.collect(),
            refused: self.refusals.rate(),
            failures: self.failures,
        }
    }
}

impl Usual {
    /// With earlier figures of the same sink where these say nothing.
    pub(super) fn or(mut self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else {
            return self;
        };
        for (size, median) in earlier.medians {
            if !self.medians.iter().any(|(known, _)| *known == size) {
                self.medians.push((size, median));
            }
        }
        self.refused = self.refused.or(earlier.refused);
        self
    }

    /// Whether it delivered nothing at last. A single failure is a moment.
    pub(super) const fn is_failing(&self) -> bool {
        self.failures > 1
    }

    /// The longest time that a write of this size would usually take; `None` if
    /// too little is known. A batch takes no longer than a larger one, and not
    /// more time per record than a smaller one.
    pub(super) fn write_time(&self, records: usize) -> Option<Duration> {
        let records = size(records);
        let bounds = self.medians.iter().map(|(size, median)| {
            let factor = records.div_ceil(*size).max(1);
            median.saturating_mul(factor)
        });
        bounds.min()
    }
}

/// The size of a batch, at least 1.
fn size(records: usize) -> u32 {
    u32::try_from(records).unwrap_or(u32::MAX >> 1).max(1)
}

impl Times {
    fn add(&mut self, took: Duration) {
        match self.samples.get_mut(self.next) {
            Some(oldest) => *oldest = took,
            None => self.samples.push(took),
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    fn median(&self) -> Option<Duration> {
        if self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Share {
    fn add(&mut self, records: usize, refused: usize) {
        let count = |number| u32::try_from(number).unwrap_or(RECORDS_MAX);
        self.all = self.all.saturating_add(count(records));
        self.refused = self.refused.saturating_add(count(refused)).min(self.all);
        while self.all > RECORDS_MAX {
            self.all /= 2;
            self.refused /= 2;
        }
    }

    /// `None` if there were too few records.
    pub(super) fn rate(self) -> Option<f64> {
        (self.all >= RECORDS_MIN).then(|| f64::from(self.refused) / f64::from(self.all))
    }

    /// Whether there were enough records, and the share is not beyond this one.
    pub(super) fn is_within(self, other: f64) -> bool {
        self.rate().is_some() && self.beyond(other).is_none()
    }

    /// The share, if it is beyond this one by more than chance explains.
    pub(super) fn beyond(self, other: f64) -> Option<f64> {
        let rate = self.rate()?;
        let deviation = (rate * (1.0 - rate) / f64::from(self.all)).sqrt();
        (CONFIDENCE.mul_add(-deviation, rate) > other).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn wrote(figures: &mut Figures, times: usize, records: usize, refused: usize, took: Duration) {
        for _ in 0..times {
            figures.add(&Observed::Wrote {
                offered: records,
                records,
                refused,
                took,
            });
        }
    }

    #[test]
    fn a_write_time_is_bounded_by_smaller_and_larger_batches() {
        let mut figures = Figures::default();
        wrote(&mut figures, SAMPLES_MIN, 10, 0, 4 * MS);
        wrote(&mut figures, SAMPLES_MIN, 1000, 0, 40 * MS);
        wrote(&mut figures, SAMPLES_MIN - 1, 1, 0, MS);
        let usual = figures.usual();
        assert_eq!(usual.write_time(1), Some(4 * MS));
        assert_eq!(usual.write_time(8), Some(4 * MS));
        assert_eq!(usual.write_time(16), Some(8 * MS), "no more per record");
        assert_eq!(usual.write_time(200), Some(40 * MS), "as 512 or more");
        assert_eq!(usual.write_time(1024), Some(80 * MS));
        assert_eq!(Figures::default().usual().write_time(1), None);
    }

    #[test]
    fn writes_whose_records_are_refused_say_nothing_of_times() {
        let mut figures = Figures::default();
        wrote(&mut figures, SAMPLES_MIN, 10, 6, MS);
        assert_eq!(figures.usual().write_time(10), None);
        wrote(&mut figures, SAMPLES_MIN, 10, 5, 4 * MS);
        assert_eq!(figures.usual().write_time(8), Some(4 * MS));
    }

    #[test]
    fn a_single_failure_is_a_moment() {
        let mut figures = Figures::default();
        figures.add(&Observed::AsksAgain("busy".to_owned()));
        assert!(!figures.usual().is_failing());
        figures.add(&Observed::Hung("stuck".to_owned()));
        assert!(figures.usual().is_failing());
        wrote(&mut figures, 1, 1, 0, MS);
        assert!(!figures.usual().is_failing());
    }

    #[test]
    fn the_median_ignores_single_slow_writes_and_forgets_old_ones() {
        let mut figures = Figures::default();
        wrote(&mut figures, SAMPLES, 1, 0, 100 * MS);
        wrote(&mut figures, SAMPLES - 5, 1, 0, MS);
        wrote(&mut figures, 5, 1, 0, 9000 * MS);
        assert_eq!(figures.usual().write_time(1), Some(MS));
    }

    #[test]
    fn a_share_counts_once_chance_does_not_explain_it() {
        let mut share = Share::default();
        share.add(9, 9);
        assert_eq!(share.beyond(0.05), None, "too few");
        share.add(1, 1);
        assert_eq!(share.beyond(0.05), Some(1.0));
        let mut share = Share::default();
        share.add(100, 10);
        assert_eq!(share.beyond(0.05), None, "it may be chance");
        share.add(900, 90);
        assert_eq!(share.beyond(0.05), Some(0.1));
        assert_eq!(share.beyond(0.1), None);
    }

    #[test]
    fn a_sink_that_turns_bad_late_is_noticed() {
        let mut share = Share::default();
        (0..1000).for_each(|_| share.add(1000, 0));
        (0..3).for_each(|_| share.add(1000, 1000));
        assert!(share.beyond(0.05).is_some());
    }
}
