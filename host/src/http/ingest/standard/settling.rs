//! What is answered once the records of a request are settled.

use super::exchange::{Exchange, Parsed, Reply};
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::rejected::{Rejected, Rejections};
use sluice_types::record::LogRecord;
use sluice_types::rejection::Rejection;

/// A request whose records are being settled.
#[derive(Debug)]
pub(super) struct Settling {
    /// How many records it had.
    total: usize,
    /// What the decoder rejected.
    by_decoder: Rejected,
    items: Items,
    hides_refusals: bool,
    /// What the sink refused.
    pub(super) by_sink: Vec<Rejection>,
}

impl Settling {
    /// Splits what was decoded into records for the sink, and the rest.
    pub(super) fn begin(parsed: Parsed) -> (Vec<LogRecord>, Self) {
        let (records, by_decoder) = (parsed.decoded.records, parsed.decoded.rejected);
        let settling = Self {
            total: records.len() + by_decoder.len(),
            by_decoder,
            items: parsed.items,
            hides_refusals: parsed.hides_refusals,
            by_sink: Vec::new(),
        };
        (records, settling)
    }

    /// What it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.by_decoder.bytes() + self.items.bytes()
    }

    /// How many records the decoder rejected.
    pub(super) fn rejected(&self) -> u64 {
        u64::try_from(self.by_decoder.len()).unwrap_or(u64::MAX)
    }

    /// The answer of the protocol.
    pub(super) fn answer(self, exchange: &dyn Exchange) -> Reply {
        let Self {
            total,
            by_decoder,
            mut items,
            hides_refusals,
            by_sink,
        } = self;
        items.refuse(&by_sink);
        let mut rejections = by_decoder.merge(by_sink);
        if hides_refusals {
            items.hide_refusals();
            rejections = Rejections::default();
        }
        let rejections = &rejections;
        exchange.answer(Verdict::Settled { total, rejections }, &items)
    }
}
