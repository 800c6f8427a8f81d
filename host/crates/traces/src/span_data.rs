//! Spans as OpenTelemetry's crates know them, with the names of its semantic
//! conventions where it has any.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sluice_types::trace::{
    BatchWork, OutgoingWork, RequestWork, Span, SpanFailure, SpanOutcome, TraceContext, Work,
    WriteWork,
};

const STREAM: &str = "sluice.stream";
const EPOCH: &str = "sluice.epoch";
const RECORDS: &str = "sluice.records";
const REJECTED: &str = "sluice.records.rejected";
const OUTCOME: &str = "sluice.outcome";
const PLUGIN: &str = "sluice.plugin";
const METHOD: &str = "http.request.method";
const STATUS: &str = "http.response.status_code";
const ERROR: &str = "error.type";

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("sluice")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// What a kind of work says.
struct Described {
    kind: SpanKind,
    name: Cow<'static, str>,
    attributes: Vec<KeyValue>,
    status: Status,
    links: SpanLinks,
}

pub(crate) fn span_data(span: Span) -> SpanData {
    let Described {
        kind,
        name,
        attributes,
        status,
        links,
    } = match span.work {
        Work::Request(work) => request(*work),
        Work::Batch(work) => batch(*work),
        Work::Write(work) => write(*work),
        Work::Outgoing(work) => outgoing(*work),
    };
    let parent = span.parent.map(|p| SpanId::from_bytes(p.span.to_bytes()));
    SpanData {
        span_context: context(&span.context, false),
        parent_span_id: parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: span.parent.is_some_and(|parent| parent.is_remote),
        span_kind: kind,
        name,
        start_time: span.began,
        // The clock may have been set back meanwhile.
        end_time: span.ended.max(span.began),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status,
        instrumentation_scope: SCOPE.clone(),
    }
}

fn context(context: &TraceContext, is_remote: bool) -> SpanContext {
    let state = context.state.as_ref();
    let state = state.and_then(|state| state.text().parse::<TraceState>().ok());
    SpanContext::new(
        TraceId::from_bytes(context.trace.to_bytes()),
        SpanId::from_bytes(context.span.to_bytes()),
        TraceFlags::new(context.flags),
        is_remote,
        state.unwrap_or_default(),
    )
}

/// Attributes that are added one by one.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push(KeyValue::new(key, value));
        self
    }

    fn with_count(self, key: &'static str, count: usize) -> Self {
        self.with(key, i64::try_from(count).unwrap_or(i64::MAX))
    }

    fn with_some(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn with_epoch(self, epoch: u64) -> Self {
        self.with(EPOCH, i64::try_from(epoch).unwrap_or(i64::MAX))
    }
}

fn request(work: RequestWork) -> Described {
    let is_failed = work.status.is_none_or(|status| status >= 500);
    let lost = work.outcome.filter(|outcome| outcome.is_error());
    let error = match (work.status, lost) {
        (Some(status), _) if status >= 500 => Some(Cow::Owned(status.to_string())),
        (None, _) => Some(Cow::Borrowed(SpanOutcome::Cancelled.name())),
        (_, lost) => lost.map(|outcome| Cow::Borrowed(outcome.name())),
    };
    let name = format!("{} {}", work.method, work.route);
    let attributes = Attributes::default()
        .with(METHOD, work.method)
        .with("http.route", work.route)
        .with("url.scheme", work.scheme)
        .with("url.path", work.path)
        .with_some(STATUS, work.status.map(i64::from))
        .with_some(
            "client.address",
            work.client.map(|client| client.to_string()),
        )
        .with(STREAM, work.stream)
        .with("sluice.protocol", work.protocol)
        .with_some(
            RECORDS,
            work.records
                .map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        )
        .with_count(REJECTED, work.rejected)
        .with_some(OUTCOME, work.outcome.map(SpanOutcome::name))
        .with_some("sluice.relayed_to", work.relayed_to)
        .with_some(ERROR, error);
    Described {
        kind: SpanKind::Server,
        name: name.into(),
        attributes: attributes.0,
        status: match is_failed || lost.is_some() {
            true => Status::error(""),
            false => Status::Unset,
        },
        links: SpanLinks::default(),
    }
}

fn batch(work: BatchWork) -> Described {
    let error = work.outcome.is_error().then(|| work.outcome.name());
    let attributes = Attributes::default()
        .with(STREAM, work.stream.to_string())
        .with_epoch(work.epoch)
        .with_count(RECORDS, work.records)
        .with_count(REJECTED, work.rejected)
        .with_count("sluice.requests", work.requests)
        .with_count("sluice.links.dropped", work.links_dropped)
        .with(OUTCOME, work.outcome.name())
        .with_some(ERROR, error);
    let mut links = SpanLinks::default();
    let linked = work.links.iter().map(|linked| context(linked, false));
    links.links = linked.map(Link::with_context).collect();
    links.dropped_count = u32::try_from(work.links_dropped).unwrap_or(u32::MAX);
    Described {
        kind: SpanKind::Internal,
        name: "batch".into(),
        attributes: attributes.0,
        status: match error {
            Some(_) => Status::error(""),
            None => Status::Unset,
        },
        links,
    }
}

fn write(work: WriteWork) -> Described {
    let (error, status) = failure(work.failure);
    let attributes = Attributes::default()
        .with(STREAM, work.stream.to_string())
        .with_epoch(work.epoch)
        .with("sluice.attempt", i64::from(work.attempt))
        .with_count(RECORDS, work.records)
        .with_count("sluice.records.refused", work.refused)
        .with(PLUGIN, work.plugin)
        .with(OUTCOME, work.outcome.name())
        .with_some(ERROR, error);
    Described {
        kind: SpanKind::Internal,
        name: "write".into(),
        attributes: attributes.0,
        status,
        links: SpanLinks::default(),
    }
}

fn outgoing(work: OutgoingWork) -> Described {
    let (mut error, mut status) = failure(work.failure);
    if let Some(code) = work.status.filter(|status| *status >= 400) {
        error = Some(code.to_string().into());
        status = Status::error("");
    }
    let attributes = Attributes::default()
        .with(METHOD, work.method)
        .with("url.full", work.url)
        .with("server.address", work.host)
        .with("server.port", i64::from(work.port))
        .with_some(STATUS, work.status.map(i64::from))
        .with(PLUGIN, work.plugin)
        .with_some(ERROR, error);
    let name = match work.method {
        "_OTHER" => "HTTP",
        method => method,
    };
    Described {
        kind: SpanKind::Client,
        name: name.into(),
        attributes: attributes.0,
        status,
        links: SpanLinks::default(),
    }
}

fn failure(failure: Option<SpanFailure>) -> (Option<Cow<'static, str>>, Status) {
    match failure {
        Some(SpanFailure { kind, reason }) => (Some(kind.into()), Status::error(reason)),
        None => (None, Status::Unset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::trace::{Parent, TraceId};
    use std::time::{Duration, SystemTime};

    fn converted(work: Work) -> SpanData {
        let now = SystemTime::now();
        span_data(Span {
            context: TraceContext::root(TraceId::random(), true),
            parent: None,
            began: now,
            ended: now - Duration::from_secs(1),
            work,
        })
    }

    fn value(data: &SpanData, key: &str) -> Option<String> {
        let found = data.attributes.iter().find(|pair| pair.key.as_str() == key);
        found.map(|pair| pair.value.to_string())
    }

    fn asked(status: Option<u16>, outcome: Option<SpanOutcome>) -> SpanData {
        converted(Work::Request(Box::new(RequestWork {
            method: "POST",
            scheme: "http",
            path: "/a/_bulk".to_owned(),
            route: "/{index}/_bulk".to_owned(),
            protocol: "elasticsearch",
            stream: "default".to_owned(),
            client: None,
            status,
            records: Some(3),
            rejected: 1,
            outcome,
            relayed_to: None,
        })))
    }

    #[test]
    fn a_request_fails_if_the_server_is_at_fault() {
        let accepted = asked(Some(200), Some(SpanOutcome::Partial));
        assert_eq!(accepted.name, "POST /{index}/_bulk");
        assert_eq!(accepted.status, Status::Unset);
        assert_eq!(value(&accepted, ERROR), None);
        assert_eq!(value(&accepted, RECORDS).as_deref(), Some("3"));
        assert_eq!(asked(Some(400), None).status, Status::Unset);
        let error = |status, outcome| {
            let data = asked(status, outcome);
            assert_eq!(data.status, Status::error(""));
            value(&data, ERROR).unwrap()
        };
        assert_eq!(error(Some(503), Some(SpanOutcome::Busy)), "503");
        // Of gRPC, whose status is not that of HTTP.
        assert_eq!(error(Some(200), Some(SpanOutcome::Unknown)), "unknown");
        assert_eq!(error(None, None), "cancelled");
    }

    #[test]
    fn a_span_never_ends_before_it_began() {
        let data = asked(Some(200), None);
        assert_eq!(data.end_time, data.start_time);
    }

    #[test]
    fn links_and_parents_are_kept() {
        let linked = TraceContext::root(TraceId::random(), true);
        let work = Work::Batch(Box::new(BatchWork {
            stream: "default".into(),
            epoch: 7,
            records: 2,
            requests: 40,
            links: vec![linked.clone()],
            links_dropped: 39,
            rejected: 0,
            outcome: SpanOutcome::Accepted,
        }));
        let now = SystemTime::now();
        let data = span_data(Span {
            context: linked.child(),
            parent: Some(Parent {
                span: linked.span,
                is_remote: true,
            }),
            began: now,
            ended: now,
            work,
        });
        assert_eq!(data.parent_span_id.to_bytes(), linked.span.to_bytes());
        assert!(data.parent_span_is_remote);
        let [link] = &data.links.links[..] else {
            panic!("{data:?}")
        };
        assert_eq!(
            link.span_context.span_id().to_bytes(),
            linked.span.to_bytes()
        );
        assert_eq!(data.links.dropped_count, 39);
        assert_eq!(value(&data, "sluice.links.dropped").as_deref(), Some("39"));
    }
}
