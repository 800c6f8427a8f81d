//! Loki's push, and its probes.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Packing, Parsed, Reply, Terms};
use super::found::Found;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::encoding::Encoding;
use sluice_protocols::error::DecodeError;
use sluice_protocols::loki::answer::{build_info, labels, push, ready};
use sluice_protocols::loki::{is_json, json, protobuf};
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct Push {
    is_json: bool,
    /// winston-loki 6.1 sends a batch again without end if any of it is refused. It
    /// is the only client in use that does not say who it is.
    resends_all: bool,
    tenant: Option<String>,
}

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let is_read = asked.method == "GET" || asked.method == "HEAD";
    let segments: Vec<_> = asked.path.split('/').skip(1).take(7).collect();
    Some(match segments[..] {
        ["loki", "api", "v1", "push"] | ["api", "prom", "push"] if asked.method == "POST" => {
            Found::exchange(Push {
                resends_all: asked.header("user-agent").is_none(),
                is_json: is_json(asked.header("content-type").unwrap_or_default()),
                tenant: asked.header("x-scope-orgid").map(str::to_owned),
            })
        }
        ["ready"] if is_read => Found::Answer(ready()),
        ["loki", "api", "v1", "labels"] if is_read => Found::Answer(labels()),
        ["loki", "api", "v1", "label", _, "values"] if is_read => Found::Answer(labels()),
        ["loki", "api", "v1", "status", "buildinfo"] if is_read => Found::Answer(build_info()),
        _ => return None,
    })
}

impl Exchange for Push {
    fn protocol(&self) -> Protocol {
        Protocol::Loki
    }

    /// Protobuf is always one snappy block, whether the header says so or not.
    fn packing(&self) -> Packing {
        match self.is_json {
            true => Packing::Named,
            false => Packing::Always(Encoding::Snappy),
        }
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        let tenant = self.tenant.as_deref();
        let decoded = match self.is_json {
            true => json::decode(body, tenant, observed, most, meter),
            false => protobuf::decode(body, tenant, observed, most, meter),
        };
        decoded.map(|decoded| Parsed {
            hides_refusals: self.resends_all,
            ..Parsed::from(decoded)
        })
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        push(verdict).into()
    }
}
