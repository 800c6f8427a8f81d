//! The metrics of what clients send, found without a search: one place for each
//! protocol of a stream.

use std::sync::{Arc, OnceLock};

use axum::http::HeaderMap;

use sluice_delivery::metrics::{IngestMetrics, StreamMetrics};
use sluice_protocols::tokens::Protocol;
use sluice_types::trace::{TRACEPARENT, TraceContext, TraceId};

/// How many protocols there are.
pub(crate) const PROTOCOLS: usize = ROUTES + LISTENERS.len();
/// How many protocols HTTP routes have.
const ROUTES: usize = Protocol::ALL.len();
/// The protocols that only listeners speak.
const LISTENERS: [&str; 3] = ["syslog", "relp", "forward"];

/// The metrics of the protocols of a stream. Those of a protocol exist from when it
/// is used first.
#[derive(Debug)]
pub(crate) struct Meters {
    stream: Arc<StreamMetrics>,
    routes: [OnceLock<Arc<IngestMetrics>>; ROUTES],
    listeners: [OnceLock<Arc<IngestMetrics>>; LISTENERS.len()],
    /// For a protocol that is not in either list: there is none.
    other: OnceLock<Arc<IngestMetrics>>,
}

impl Meters {
    pub(crate) const fn new(stream: Arc<StreamMetrics>) -> Self {
        Self {
            stream,
            routes: [const { OnceLock::new() }; ROUTES],
            listeners: [const { OnceLock::new() }; LISTENERS.len()],
            other: OnceLock::new(),
        }
    }

    /// The metrics of a protocol of HTTP routes.
    pub(crate) fn route(&self, protocol: Protocol) -> &Arc<IngestMetrics> {
        let place = self.routes.get(protocol as usize).unwrap_or(&self.other);
        place.get_or_init(|| self.stream.ingest(protocol.name()))
    }

    /// The metrics of a protocol of listeners. Routes may speak it, too.
    pub(crate) fn listener(&self, name: &'static str) -> &Arc<IngestMetrics> {
        if let Some(protocol) = Protocol::ALL.into_iter().find(|p| p.name() == name) {
            return self.route(protocol);
        }
        let place = LISTENERS.iter().position(|listener| *listener == name);
        let place = place.and_then(|place| self.listeners.get(place));
        let place = place.unwrap_or(&self.other);
        place.get_or_init(|| self.stream.ingest(name))
    }

    /// The names of all protocols.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let routes = Protocol::ALL.into_iter().map(Protocol::name);
        routes.chain(LISTENERS)
    }

    /// What was used so far, in the order of the names; `None` for what was not.
    pub(crate) fn used(&self) -> impl Iterator<Item = Option<&IngestMetrics>> {
        let places = self.routes.iter().chain(&self.listeners);
        places.map(|place| place.get().map(|metrics| &**metrics))
    }
}

/// The trace that a request belongs to, if it says so.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    let context = TraceContext::of_traceparent(headers.get(TRACEPARENT)?.as_bytes())?;
    Some(context.trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::metrics::{Metrics, RecordsOutcome};

    #[test]
    fn each_protocol_has_one_place() {
        let meters = Meters::new(Metrics::new().stream("default"));
        assert_eq!(meters.used().flatten().count(), 0);
        for protocol in Protocol::ALL {
            meters.route(protocol).count(RecordsOutcome::Accepted, 1);
        }
        for name in LISTENERS.into_iter().chain(["gelf"]) {
            meters.listener(name).count(RecordsOutcome::Accepted, 10);
        }
        let counted: Vec<_> = Meters::names().zip(meters.used()).collect();
        for (name, metrics) in counted {
            let expected = match name {
                "gelf" => 11,
                name if LISTENERS.contains(&name) => 10,
                _ => 1,
            };
            let counted = metrics.unwrap().records(RecordsOutcome::Accepted);
            assert_eq!(counted, expected, "{name}");
        }
        assert!(meters.other.get().is_none());
    }
}
