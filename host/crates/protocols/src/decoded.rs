//! What the decoders of all protocols produce.

use super::meter::{Meter, Stop};
use super::rejected::Rejected;
use sluice_types::record::{LogRecord, overhead};

/// The most records for which memory is allocated before they are decoded.
const EXPECTED_MAX: usize = 4096;

/// What a body held: records, and what could not be decoded to one.
#[derive(Debug, Default)]
pub struct Decoded {
    /// In the order of the body.
    pub records: Vec<LogRecord>,
    /// What could not be decoded.
    pub rejected: Rejected,
}

/// Gathers what a decoder finds in a body, and charges it.
#[derive(Debug)]
pub struct Decoding<'m> {
    meter: &'m mut Meter,
    /// The most records and rejections together.
    most: usize,
    decoded: Decoded,
    /// The sum of the records' sizes.
    bytes: usize,
}

impl<'m> Decoding<'m> {
    /// Gathers at most `most` records and rejections together.
    pub fn new(meter: &'m mut Meter, most: usize) -> Self {
        Self {
            meter,
            most,
            decoded: Decoded::default(),
            bytes: 0,
        }
    }

    /// Says about how many records there will be.
    pub fn expect(&mut self, records: usize) {
        let expected = records.min(self.most).min(EXPECTED_MAX);
        self.decoded.records.reserve(expected);
    }

    /// Whether to stop: there is no memory for more, more may not wait, or
    /// nobody waits.
    pub fn is_stopped(&mut self) -> bool {
        self.meter.is_stopped()
    }

    /// Charges what is kept for several records, such as attributes that they
    /// share. What is charged while one record is decoded is given back if that
    /// one is rejected.
    pub const fn meter(&mut self) -> &mut Meter {
        self.meter
    }

    /// Decodes the next record from its bytes, and keeps it, or the reason why there
    /// is none and how the bytes begin.
    pub fn add(
        &mut self,
        source: &[u8],
        decode: impl FnOnce(&mut Meter) -> Result<LogRecord, String>,
    ) {
        if !self.read(decode) {
            self.show(source);
        }
    }

    /// Decodes the next record, whose end is not known before. False if it is
    /// rejected: then [`Self::show`] is to be called.
    pub fn read(&mut self, decode: impl FnOnce(&mut Meter) -> Result<LogRecord, String>) -> bool {
        let place = self.decoded.records.len() + self.decoded.rejected.len();
        if place >= self.most {
            self.meter.stop(Stop::TooManyRecords);
            return true;
        }
        let before = self.meter.charged();
        match decode(self.meter) {
            Ok(record) => {
                if self.meter.charge(overhead(record.attributes.own_len())) {
                    self.bytes += record.size();
                    self.decoded.records.push(record);
                }
                true
            }
            Err(reason) => {
                self.meter.reduce(before);
                if self.meter.charge(self.decoded.rejected.cost(&reason)) {
                    self.decoded.rejected.push(place, &reason);
                }
                false
            }
        }
    }

    /// Keeps how the bytes of what was rejected last begin.
    pub fn show(&mut self, source: &[u8]) {
        let cost = self.decoded.rejected.show_cost(source);
        if self.meter.charge(cost) {
            self.decoded.rejected.show(source);
        }
    }

    /// Whether nothing was decoded or rejected so far.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.decoded.records.is_empty() && self.decoded.rejected.is_empty()
    }

    /// How many were rejected so far.
    #[must_use]
    pub const fn rejected(&self) -> usize {
        self.decoded.rejected.len()
    }

    /// Everything that was decoded of a body with this many bytes. Records that
    /// count for less than the body no longer keep it: they are copied. So what
    /// waits takes at most twice what it counts.
    pub fn finish(mut self, body: usize) -> Decoded {
        let records = &mut self.decoded.records;
        if self.bytes < body {
            let texts = records.iter().map(LogRecord::text_bytes).sum();
            if self.meter.charge(texts) {
                records.iter_mut().for_each(LogRecord::detach);
            }
        }
        if records.capacity() > 2 * records.len() {
            records.shrink_to_fit();
        }
        self.decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DecodeError;
    use crate::memory_budget::{MemoryBudget, Reservation};
    use crate::meter::Client;
    use sluice_types::record::Text;

    const OVERHEAD: usize = overhead(0);

    fn decode(
        memory: usize,
        work: impl FnOnce(&mut Meter) -> Decoded,
    ) -> Result<(Decoded, Reservation), DecodeError> {
        let reservation = MemoryBudget::new(memory).reserve();
        Meter::new(reservation, Client::default()).measure(|meter| Ok(work(meter)))
    }

    fn record(text: Text) -> Result<LogRecord, String> {
        Ok(LogRecord::with_body(text, 1))
    }

    #[test]
    fn every_record_and_rejection_is_charged() {
        let (decoded, reservation) = decode(1 << 20, |meter| {
            let mut decoding = Decoding::new(meter, 100);
            decoding.add(b"", |_| record(Text::new()));
            decoding.add(b"broken", |meter| {
                // Freed with what was rejected.
                assert!(meter.charge(100_000));
                Err("no".to_owned())
            });
            decoding.finish(0)
        })
        .unwrap();
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 1));
        assert_eq!(
            reservation.spent(),
            OVERHEAD + Rejected::default().cost("no") + b"broken".len()
        );
        let shown = decoded.rejected.examples().map(|example| example.excerpt);
        assert_eq!(shown.collect::<Vec<_>>(), [b"broken"]);
    }

    #[test]
    fn without_memory_nothing_more_is_decoded() {
        let mut count = 0;
        let refused = decode(10 * OVERHEAD, |meter| {
            let mut decoding = Decoding::new(meter, 100);
            while !decoding.is_stopped() {
                count += 1;
                decoding.add(b"", |_| record(Text::new()));
            }
            decoding.finish(0)
        });
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
        assert_eq!(count, 11);
    }

    #[test]
    fn a_short_record_does_not_keep_a_large_body() {
        for (body, is_kept) in [(1000, false), (200, true)] {
            let whole = Text::from(" ".repeat(body));
            let line = whole.slice_ref(&whole[..10]);
            let (decoded, _) = decode(1 << 20, |meter| {
                let mut decoding = Decoding::new(meter, 100_000);
                decoding.expect(100_000);
                decoding.add(b"", |_| record(line.clone()));
                decoding.finish(body)
            })
            .unwrap();
            let kept = decoded.records[0].body.as_bytes().as_ptr();
            assert_eq!(kept == line.as_bytes().as_ptr(), is_kept);
            assert!(decoded.records.capacity() < 10);
        }
    }
}
