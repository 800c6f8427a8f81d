//! Records in parts that are small enough to be taken at once.

use sluice_types::record::LogRecord;

/// The most records of a part, and about the most bytes: so much finds room in any
/// queue, and in a request to another node.
pub(super) const PART_RECORDS: usize = 10_000;
pub(super) const PART_BYTES: usize = 1 << 20;

/// Splits records into parts, in their order.
pub(super) struct Parts {
    records: std::vec::IntoIter<LogRecord>,
    most: usize,
}

impl Parts {
    /// Parts of at most so many records.
    pub(super) fn new(records: Vec<LogRecord>, most: usize) -> Self {
        Self {
            records: records.into_iter(),
            most: most.clamp(1, PART_RECORDS),
        }
    }
}

impl Iterator for Parts {
    type Item = Vec<LogRecord>;

    fn next(&mut self) -> Option<Vec<LogRecord>> {
        let (mut count, mut bytes) = (0, 0);
        for record in self.records.as_slice().iter().take(self.most) {
            bytes += record.size();
            if count > 0 && bytes > PART_BYTES {
                break;
            }
            count += 1;
        }
        let part: Vec<_> = self.records.by_ref().take(count).collect();
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::Text;

    fn sizes(records: Vec<LogRecord>, most: usize) -> Vec<usize> {
        Parts::new(records, most).map(|part| part.len()).collect()
    }

    fn records(count: usize, bytes: usize) -> Vec<LogRecord> {
        let text = Text::from(" ".repeat(bytes));
        vec![LogRecord::with_body(text, 1); count]
    }

    #[test]
    fn parts_are_bounded_in_records_and_bytes_and_lose_nothing() {
        assert_eq!(sizes(Vec::new(), 10), Vec::<usize>::new());
        assert_eq!(sizes(records(25, 1), 10), [10, 10, 5]);
        assert_eq!(sizes(records(3, PART_BYTES), 10), [1, 1, 1]);
        let parts = sizes(records(PART_RECORDS + 1, 1), usize::MAX);
        assert_eq!(parts.iter().sum::<usize>(), PART_RECORDS + 1);
        assert!(parts.len() > 1);
    }
}
