//! Datadog's log intake.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::Found;
use sluice_delivery::Producer;
use sluice_protocols::answer::Verdict;
use sluice_protocols::datadog::answer::{logs, validate};
use sluice_protocols::datadog::decode::json;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct Logs;

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let is_post = asked.method == "POST";
    match asked.path.trim_end_matches('/') {
        "/api/v2/logs" | "/v1/input" if is_post => Some(Found::exchange(Logs)),
        // The agent of old puts its key there.
        path if is_post && path.starts_with("/v1/input/") => Some(Found::exchange(Logs)),
        "/api/v1/validate" if asked.method == "GET" => Some(Found::Answer(validate())),
        _ => None,
    }
}

impl Exchange for Logs {
    fn protocol(&self) -> Protocol {
        Protocol::Datadog
    }

    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        json(body, observed, most, meter).map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        logs(verdict).into()
    }
}
