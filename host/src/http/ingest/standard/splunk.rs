//! Splunk's HTTP event collector.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::Found;
use sluice_delivery::Producer;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::query;
use sluice_protocols::splunk::answer::{answer, health, options};
use sluice_protocols::splunk::route::{Route, route};
use sluice_protocols::splunk::{ack, event, raw};
use sluice_protocols::tokens::Protocol;

/// The header that names a channel.
const CHANNEL: &str = "x-splunk-request-channel";

/// The id of the last answer. Each is acknowledged when it is given, so the ids
/// need not outlive the process.
static ACK_IDS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Events {
    /// The query of a request with plain lines.
    raw: Option<String>,
    has_channel: bool,
}

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let channel = channel(asked);
    let has_channel = channel.is_some();
    Some(match route(asked.method.as_str(), &asked.path)? {
        Route::Options => Found::Answer(options()),
        Route::Health => Found::Answer(health(true)),
        Route::Event => Found::exchange(Events {
            raw: None,
            has_channel,
        }),
        Route::Raw => Found::exchange(Events {
            raw: Some(asked.query.clone()),
            has_channel,
        }),
        Route::Ack => Found::question(move |body, meter| {
            let asked = ack::answer(body, channel.as_deref(), meter);
            asked.unwrap_or_else(|error| {
                let reason = error.to_string();
                answer(Verdict::Malformed(&reason), None)
            })
        }),
    })
}

fn channel(asked: &Asked) -> Option<String> {
    let header = asked.header(CHANNEL).map(str::to_owned);
    let named = || query::value(&asked.query, "channel").map(Into::into);
    header.or_else(named)
}

impl Exchange for Events {
    fn protocol(&self) -> Protocol {
        Protocol::Splunk
    }

    /// The answer names them, but most clients do not read that.
    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        let decoded = match &self.raw {
            None => event::decode(body, observed, most, meter),
            Some(query) => raw::decode(body, query, observed, most, meter),
        };
        decoded.map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        let id = || ACK_IDS.fetch_add(1, Ordering::Relaxed);
        answer(verdict, self.has_channel.then(id)).into()
    }
}
