//! Heroku's Logplex drains.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::Found;
use sluice_delivery::Producer;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::heroku::{Headers, answer, decode};
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct Frame {
    message_count: Option<String>,
    frame_id: Option<String>,
}

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let header = |name| asked.header(name).map(str::to_owned);
    let is_it = asked.method == "POST" && asked.path == "/heroku/logplex";
    is_it.then(|| {
        Found::exchange(Frame {
            message_count: header("logplex-msg-count"),
            frame_id: header("logplex-frame-id"),
        })
    })
}

impl Exchange for Frame {
    fn protocol(&self) -> Protocol {
        Protocol::Heroku
    }

    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn id(&self) -> Option<&str> {
        self.frame_id.as_deref()
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        let headers = Headers {
            message_count: self.message_count.as_deref(),
            frame_id: self.frame_id.as_deref(),
        };
        decode(body, headers, observed, most, meter).map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        answer(verdict).into()
    }
}
