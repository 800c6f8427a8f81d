//! What is answered once the records of a request are settled.

use super::exchange::{Exchange, Parsed, Reply};
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::memory_budget::Reservation;
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
    /// Whether the same request was acknowledged before.
    pub(super) is_repeated: bool,
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
            is_repeated: false,
            by_sink: Vec::new(),
        };
        (records, settling)
    }

    /// How many records the request had.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// How many of them were refused, so far as is known.
    pub(super) fn rejected(&self) -> usize {
        self.by_decoder.len() + self.by_sink.len()
    }

    /// What it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.by_decoder.bytes() + self.items.bytes()
    }

    /// What the decoder rejected.
    pub(super) const fn by_decoder(&self) -> &Rejected {
        &self.by_decoder
    }

    /// What the answer takes, in bytes, unless the sink refuses more.
    pub(super) fn answer_bytes(&self, exchange: &dyn Exchange) -> usize {
        exchange.answer_bytes(&self.items)
    }

    /// The answer of the protocol. What the sink refused is charged before it is
    /// made, even without room for it: it must be given.
    pub(super) fn answer(self, exchange: &dyn Exchange, charged: &mut Reservation) -> Reply {
        let Self {
            total,
            by_decoder,
            mut items,
            hides_refusals,
            is_repeated,
            by_sink,
        } = self;
        items.refuse(&by_sink);
        let mut rejections = by_decoder.merge(by_sink);
        if hides_refusals {
            items.hide_refusals();
            rejections = Rejections::default();
        }
        charged.force(items.bytes() + exchange.answer_bytes(&items));
        let rejections = &rejections;
        let mut reply = exchange.answer(Verdict::Settled { total, rejections }, &items);
        if is_repeated {
            reply.mark_repeated();
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ingest::standard::exchange::Terms;
    use bytes::Bytes;
    use sluice_protocols::answer::Answer;
    use sluice_protocols::decoded::Decoded;
    use sluice_protocols::error::DecodeError;
    use sluice_protocols::memory_budget::{Exhausted, MemoryBudget};
    use sluice_protocols::meter::Meter;
    use sluice_protocols::tokens::Protocol;
    use std::sync::Arc;

    const ANSWER_BYTES: usize = 10_000;

    /// Looks at the budget when it makes its answer.
    #[derive(Debug)]
    struct Looks(Arc<MemoryBudget>);

    impl Exchange for Looks {
        fn protocol(&self) -> Protocol {
            Protocol::Elasticsearch
        }

        fn decode(&self, _: &Bytes, _: Terms, _: &mut Meter) -> Result<Parsed, DecodeError> {
            Ok(Decoded::default().into())
        }

        fn answer_bytes(&self, _: &Items) -> usize {
            ANSWER_BYTES
        }

        fn answer(&self, _: Verdict<'_>, _: &Items) -> Reply {
            assert_eq!(self.0.reserve().spend(ANSWER_BYTES), Err(Exhausted::Now));
            Answer::new(200, "", "").into()
        }
    }

    #[test]
    fn an_answer_is_charged_before_it_is_made() {
        let budget = MemoryBudget::new(ANSWER_BYTES);
        let exchange = Looks(Arc::clone(&budget));
        let (_, settling) = Settling::begin(Decoded::default().into());
        settling.answer(&exchange, &mut budget.reserve());
        assert_eq!(budget.reserve().spend(ANSWER_BYTES), Ok(()));
    }
}
