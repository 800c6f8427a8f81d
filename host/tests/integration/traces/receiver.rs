//! A receiver of OTLP over HTTP, and what it has received.

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;
use tokio::net::TcpListener;

use crate::support::{SOON, eventually};

/// A span with the attributes of its node.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) span: v1::Span,
    resource: Vec<KeyValue>,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v1::Span {
            name, attributes, ..
        } = &self.span;
        write!(f, "{name} of {} {attributes:?}", self.node())
    }
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    headers: Mutex<Vec<HeaderMap>>,
}

/// A receiver that runs.
pub(super) struct Receiver {
    pub(super) url: String,
    received: Arc<Received>,
}

async fn receive(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    received.headers.lock().unwrap().push(headers);
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = received.spans.lock().unwrap();
    for of_node in request.resource_spans {
        let resource = of_node.resource.unwrap().attributes;
        let found = of_node.scope_spans.into_iter().flat_map(|s| s.spans);
        spans.extend(found.map(|span| Span {
            span,
            resource: resource.clone(),
        }));
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap().clone()
    }

    /// The headers of the first request.
    pub(super) fn headers(&self) -> HeaderMap {
        self.received.headers.lock().unwrap()[0].clone()
    }

    /// Waits until so many spans of this name have arrived, and returns them.
    pub(super) async fn named(&self, name: &str, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans {name} arrive"), SOON, || async {
            let spans = self.spans();
            let found: Vec<_> = spans.iter().filter(|s| s.span.name == name).collect();
            match found.len() == count {
                true => Ok(found.into_iter().cloned().collect()),
                false => Err(format!("{spans:?}")),
            }
        })
        .await
    }

    /// The only span of this name.
    pub(super) async fn only(&self, name: &str) -> Span {
        self.named(name, 1).await.remove(0)
    }
}

impl Span {
    /// The node that has made it.
    pub(super) fn node(&self) -> String {
        value(&self.resource, "service.instance.id").unwrap_or_default()
    }

    /// An attribute of its node.
    pub(super) fn resource(&self, key: &str) -> Option<String> {
        value(&self.resource, key)
    }

    /// An attribute as text.
    pub(super) fn attribute(&self, key: &str) -> Option<String> {
        value(&self.span.attributes, key)
    }

    /// Whether it is below the other.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }

    /// What the header of a request below it says.
    pub(super) fn traceparent(&self) -> String {
        let (trace, span) = (hex(&self.span.trace_id), hex(&self.span.span_id));
        format!("00-{trace}-{span}-01")
    }

    /// Its trace and the span above it, as in a header.
    pub(super) fn above(&self) -> String {
        let (trace, span) = (hex(&self.span.trace_id), hex(&self.span.parent_span_id));
        format!("00-{trace}-{span}-01")
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    let AnyValue { value } = found.value.clone()?;
    Some(match value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    })
}
