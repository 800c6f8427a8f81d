//! What the decoders of all protocols produce.

use sluice_delivery::Rejection;
use sluice_types::record::LogRecord;

/// What a body held: records, and what could not be decoded to one.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) records: Vec<LogRecord>,
    /// In ascending order of index.
    pub(super) rejected: Vec<Rejection>,
    /// The most records and rejections together.
    most: usize,
    /// Whether there were more than that.
    pub(super) is_too_many: bool,
}

impl Decoded {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// Adds a record, or the reason why it could not be decoded. Ignores it if
    /// there are too many, because short lines take more memory as records than
    /// in a body.
    pub(super) fn push(&mut self, decoded: Result<LogRecord, String>) {
        if self.records.len() + self.rejected.len() >= self.most {
            self.is_too_many = true;
            return;
        }
        match decoded {
            Ok(record) => self.records.push(record),
            Err(reason) => {
                let index = self.records.len() + self.rejected.len();
                self.rejected.push(Rejection {
                    index,
                    reason,
                    is_kept: false,
                });
            }
        }
    }

    /// Adds to `rejected` what the sink rejected of [`Self::records`], with its
    /// indexes converted to places in the body.
    pub(super) fn merge(mut rejected: Vec<Rejection>, by_sink: Vec<Rejection>) -> Vec<Rejection> {
        let mut decoded = rejected.iter().map(|rejection| rejection.index).peekable();
        let mut shift = 0;
        let moved: Vec<Rejection> = by_sink
            .into_iter()
            .map(|rejection| {
                while decoded
                    .next_if(|index| *index <= rejection.index + shift)
                    .is_some()
                {
                    shift += 1;
                }
                Rejection {
                    index: rejection.index + shift,
                    ..rejection
                }
            })
            .collect();
        rejected.extend(moved);
        rejected.sort_by_key(|rejection| rejection.index);
        rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sinks_rejections_find_their_place_in_the_body() {
        let rejection = |index| Rejection {
            is_kept: false,
            index,
            reason: String::new(),
        };
        let decoded = vec![rejection(0), rejection(2), rejection(3)];
        // Places of the body: r 0 r r 1 2, with r rejected by the decoder.
        let merged = Decoded::merge(decoded, vec![rejection(0), rejection(2)]);
        assert_eq!(
            merged
                .iter()
                .map(|rejection| rejection.index)
                .collect::<Vec<_>>(),
            [0, 1, 2, 3, 5]
        );
    }
}
