//! The samples of the last 15 minutes.

use super::sample::Sample;

/// How many samples are kept: 15 minutes of them.
pub(super) const CAPACITY: usize = 180;

/// The latest samples, oldest first. Their memory is allocated once.
#[derive(Debug)]
pub(super) struct Ring {
    samples: Vec<Sample>,
    /// Where the oldest is, once the ring is full.
    oldest: usize,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            samples: Vec::with_capacity(CAPACITY),
            oldest: 0,
        }
    }

    /// Adds a sample, in place of the oldest if the ring is full. If the clock was
    /// set back, what is later than the sample is dropped with everything else:
    /// times never decrease.
    pub(super) fn push(&mut self, sample: Sample) {
        match self.last() {
            Some(last) if last == sample.time => return,
            Some(last) if last > sample.time => {
                self.samples.clear();
                self.oldest = 0;
            }
            _ => {}
        }
        if self.samples.len() < CAPACITY {
            self.samples.push(sample);
        } else if let Some(place) = self.samples.get_mut(self.oldest) {
            *place = sample;
            self.oldest = (self.oldest + 1) % CAPACITY;
        }
    }

    fn last(&self) -> Option<u64> {
        self.after(0).last().map(|sample| sample.time)
    }

    /// The samples later than `time`, oldest first.
    pub(super) fn after(&self, time: u64) -> impl Iterator<Item = &Sample> {
        let (newer, older) = self.samples.split_at(self.oldest);
        let all = older.iter().chain(newer);
        all.skip_while(move |sample| sample.time <= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ring: &Ring, after: u64) -> Vec<u64> {
        ring.after(after).map(|sample| sample.time).collect()
    }

    #[test]
    fn the_latest_samples_are_kept_in_their_order_in_the_same_memory() {
        let mut ring = Ring::new();
        let place = ring.samples.as_ptr();
        let last = 2 * u64::try_from(CAPACITY).unwrap() + 7;
        for time in 1..=last {
            ring.push(Sample::fake(time, 1.0));
        }
        let first = last + 1 - u64::try_from(CAPACITY).unwrap();
        assert_eq!(times(&ring, 0), (first..=last).collect::<Vec<_>>());
        assert_eq!(times(&ring, last - 2), [last - 1, last]);
        assert_eq!(times(&ring, last), Vec::<u64>::new());
        assert_eq!(ring.samples.as_ptr(), place);
    }

    #[test]
    fn times_never_decrease() {
        let mut ring = Ring::new();
        for time in [10, 15, 15, 20] {
            ring.push(Sample::fake(time, 1.0));
        }
        assert_eq!(times(&ring, 0), [10, 15, 20]);
        ring.push(Sample::fake(5, 1.0));
        assert_eq!(times(&ring, 0), [5]);
    }
}
