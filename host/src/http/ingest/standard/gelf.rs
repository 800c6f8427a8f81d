//! GELF over HTTP.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Packing, Parsed, Reply, Terms};
use super::found::Found;
use crate::http::chosen::without_prefix;
use sluice_delivery::Producer;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::gelf::answer::answer;
use sluice_protocols::gelf::message::decode_body;
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct Message;

/// The path of requests with messages.
const PATH: &str = "/gelf";

/// Whether a request to this path is settled also if its client does not wait for
/// the answer: pygelf closes its connection without reading it.
pub(in crate::http) fn finishes_alone(path: &str) -> bool {
    without_prefix(path) == PATH
}

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let is_it = asked.method == "POST" && asked.path == PATH;
    is_it.then(|| Found::exchange(Message))
}

impl Exchange for Message {
    fn protocol(&self) -> Protocol {
        Protocol::Gelf
    }

    fn packing(&self) -> Packing {
        Packing::ByFirstBytes
    }

    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        decode_body(body, observed, most, meter).map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        answer(verdict).into()
    }
}
