//! OTLP over HTTP.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::Found;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::otlp::answer::{Form, answer, unknown_content_type};
use sluice_protocols::otlp::{json, protobuf};
use sluice_protocols::tokens::Protocol;

/// The path, those of collectors that stand behind Loki's or another prefix among
/// them.
const PATHS: [&str; 2] = ["/v1/logs", "/otlp/v1/logs"];

#[derive(Debug)]
struct Export(Form);

pub(super) fn find(asked: &Asked) -> Option<Found> {
    if asked.method != "POST" || !PATHS.contains(&asked.path.as_str()) {
        return None;
    }
    let content_type = asked.header("content-type").unwrap_or_default();
    Some(match Form::of(content_type) {
        Some(form) => Found::exchange(Export(form)),
        None => Found::Answer(unknown_content_type()),
    })
}

impl Exchange for Export {
    fn protocol(&self) -> Protocol {
        Protocol::Otlp
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        let decoded = match self.0 {
            Form::Protobuf => protobuf::decode(body, observed, most, meter),
            Form::Json => json::decode(body, observed, most, meter),
        };
        decoded.map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        answer(self.0, verdict).into()
    }
}
