//! Which records of a batch are offered again.

use sluice_types::record::LogRecord;

/// Which records of a parcel are offered.
pub(super) struct Wanted {
    pub(super) start: usize,
    /// Places behind the start; `None` for all.
    pub(super) places: Option<Vec<usize>>,
}

impl Wanted {
    pub(super) const fn all_from(start: usize) -> Self {
        Self {
            start,
            places: None,
        }
    }

    /// Only these of those that were offered are left.
    pub(super) fn keep(&mut self, left: &[usize]) {
        let kept = |places: &Vec<usize>| {
            let places = left.iter().filter_map(|place| places.get(*place));
            places.copied().collect()
        };
        self.places = self.places.as_ref().map(kept);
    }

    pub(super) fn of(&self, records: impl Iterator<Item = LogRecord>) -> Vec<LogRecord> {
        let behind = records.skip(self.start);
        let Some(places) = &self.places else {
            return behind.collect();
        };
        let mut places = places.iter().peekable();
        behind
            .enumerate()
            .filter(|(place, _)| places.next_if(|wanted| *wanted == place).is_some())
            .map(|(_, record)| record)
            .collect()
    }
}
