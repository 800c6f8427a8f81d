//! The span of a request for records, from its head to its answer. It is below the span
//! that the client names, or begins a trace.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::http::{HeaderMap, Method, StatusCode};

use sluice_protocols::tokens::Protocol;
use sluice_types::excerpt::excerpt;
use sluice_types::trace::{
    Parent, RequestWork, Span, SpanOutcome, TraceContext, TraceId, Tracer, Work,
};

/// The longest path that a span shows, in characters.
const PATH_CHARS: usize = 256;
/// Where Datadog's agent of old puts its key.
const DATADOG_KEY: &str = "/v1/input/";

/// Makes the spans of requests.
#[derive(Clone, Debug)]
pub(crate) struct RequestTracer {
    pub(crate) tracer: Arc<dyn Tracer>,
    /// The scheme that clients use.
    pub(crate) scheme: &'static str,
}

/// What a span says of a request from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) client: Option<IpAddr>,
    pub(super) protocol: Protocol,
    pub(super) stream: &'a str,
}

/// The span of a request, if this node makes spans. Dropped before its end, it says that
/// there was no answer.
#[derive(Debug, Default)]
pub(super) struct RequestSpan(Option<Traced>);

#[derive(Debug)]
struct Traced {
    context: TraceContext,
    /// `None` if the trace is not sampled.
    recorded: Option<Box<Recorded>>,
}

#[derive(Debug)]
struct Recorded {
    tracer: Arc<dyn Tracer>,
    parent: Option<Parent>,
    began: SystemTime,
    /// `None` if the request was refused.
    work: Mutex<Option<RequestWork>>,
}

impl Recorded {
    fn work(&self) -> MutexGuard<'_, Option<RequestWork>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestSpan {
    pub(super) fn begin(tracer: Option<&RequestTracer>, asking: Asking<'_>) -> Self {
        let Some(RequestTracer { tracer, scheme }) = tracer else {
            return Self(None);
        };
        let parent = TraceContext::of_headers(asking.headers);
        let context = match &parent {
            Some(parent) => tracer.below(parent),
            None => tracer.root(),
        };
        let recorded = context.is_sampled().then(|| {
            Box::new(Recorded {
                tracer: Arc::clone(tracer),
                parent: parent.map(|parent| Parent {
                    span: parent.span,
                    is_remote: true,
                }),
                began: SystemTime::now(),
                work: Mutex::new(Some(work(asking, scheme))),
            })
        });
        Self(Some(Traced { context, recorded }))
    }

    /// What is handed on to others.
    pub(super) fn context(&self) -> Option<&TraceContext> {
        self.0.as_ref().map(|traced| &traced.context)
    }

    /// The trace, if it is recorded.
    pub(super) fn recorded_trace(&self) -> Option<TraceId> {
        let context = self.context().filter(|context| context.is_sampled())?;
        Some(context.trace)
    }

    /// All of its records are settled; so many were refused for good.
    pub(super) fn settled(&self, records: usize, rejected: usize) {
        let outcome = match rejected {
            0 => SpanOutcome::Accepted,
            rejected if rejected < records => SpanOutcome::Partial,
            _ => SpanOutcome::Rejected,
        };
        self.note(|work| {
            work.records = Some(records);
            work.rejected = rejected;
            work.outcome = Some(outcome);
        });
    }

    /// So many records, as far as they are known, have this outcome.
    pub(super) fn ended_as(&self, outcome: SpanOutcome, records: usize) {
        self.note(|work| {
            work.records = Some(records).filter(|records| *records > 0);
            work.outcome = Some(outcome);
        });
    }

    /// Its client may not send records, so the span is not recorded: anybody can name a
    /// sampled trace.
    pub(super) fn refused(&self) {
        if let Some(recorded) = self.recorded() {
            recorded.work().take();
        }
    }

    /// It was relayed to this node.
    pub(super) fn relayed_to(&self, node: &str) {
        self.note(|work| work.relayed_to = Some(node.to_owned()));
    }

    /// Ends it with the status of the answer; without one if the connection is closed.
    pub(super) fn end(mut self, status: Option<StatusCode>) {
        self.note(|work| work.status = status.map(|status| status.as_u16()));
        self.finish();
    }

    fn note(&self, note: impl FnOnce(&mut RequestWork)) {
        if let Some(recorded) = self.recorded()
            && let Some(work) = recorded.work().as_mut()
        {
            note(work);
        }
    }

    fn recorded(&self) -> Option<&Recorded> {
        self.0.as_ref()?.recorded.as_deref()
    }

    fn finish(&mut self) {
        let Some(Traced {
            context,
            recorded: Some(recorded),
        }) = self.0.take()
        else {
            return;
        };
        let work = recorded.work.into_inner();
        let Some(work) = work.unwrap_or_else(PoisonError::into_inner) else {
            return;
        };
        recorded.tracer.ended(Span {
            context,
            parent: recorded.parent,
            began: recorded.began,
            ended: SystemTime::now(),
            work: Work::Request(Box::new(work)),
        });
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.finish();
    }
}

fn work(asking: Asking<'_>, scheme: &'static str) -> RequestWork {
    RequestWork {
        method: method(asking.method),
        scheme,
        path: shown(asking.path),
        route: route(asking.protocol, asking.path),
        protocol: asking.protocol.name(),
        stream: asking.stream.to_owned(),
        client: asking.client,
        status: None,
        records: None,
        rejected: 0,
        outcome: None,
        relayed_to: None,
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "_OTHER",
    }
}

/// The path without credentials.
fn shown(path: &str) -> String {
    match path.starts_with(DATADOG_KEY) {
        true => format!("{DATADOG_KEY}REDACTED"),
        false => excerpt(path, PATH_CHARS).into_owned(),
    }
}

/// The path with names in place of what clients choose, so that there are few.
fn route(protocol: Protocol, path: &str) -> String {
    if path.starts_with(DATADOG_KEY) {
        return format!("{DATADOG_KEY}{{key}}");
    }
    if protocol != Protocol::Elasticsearch {
        return excerpt(path, PATH_CHARS).into_owned();
    }
    let mut route = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = match segment {
            "_bulk" | "_doc" | "_create" => segment,
            _ if route.is_empty() => "{index}",
            _ => "{id}",
        };
        route.push('/');
        route.push_str(name);
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_holds_nothing_that_clients_choose() {
        for (protocol, path, expected) in [
            (Protocol::Native, "/api/v1/log", "/api/v1/log"),
            (Protocol::Elasticsearch, "/_bulk", "/_bulk"),
            (Protocol::Elasticsearch, "/a/_bulk", "/{index}/_bulk"),
            (Protocol::Elasticsearch, "/a/_doc/1", "/{index}/_doc/{id}"),
            (Protocol::Datadog, "/v1/input/secret", "/v1/input/{key}"),
        ] {
            assert_eq!(route(protocol, path), expected);
        }
        assert_eq!(shown("/v1/input/secret"), "/v1/input/REDACTED");
    }
}
