//! The span of an HTTP request of a sink: until the head of its answer has arrived.

use std::time::SystemTime;

use http::{Method, Request, StatusCode};
use sluice_types::excerpt::excerpt;
use sluice_types::origin::Origin;
use sluice_types::trace::{
    OutgoingWork, Parent, Scope, Span, SpanFailure, TRACEPARENT, TraceContext, Work,
};
use wasmtime_wasi_http::{Error, WasiBody};

/// The longest path that a span shows, in characters.
const PATH_CHARS: usize = 256;

/// The span of a request, if it is recorded. Dropped before its end, it says that
/// nobody waited for the answer.
pub(super) struct OutgoingSpan(Option<Box<Sending>>);

struct Sending {
    scope: Scope,
    context: TraceContext,
    began: SystemTime,
    work: OutgoingWork,
}

impl OutgoingSpan {
    /// Begins it, and hands its context on with the request. A context that the sink
    /// has set itself stays.
    pub(super) fn begin(
        scope: Option<Scope>,
        plugin: &str,
        origin: &Origin,
        request: &mut Request<WasiBody>,
    ) -> Self {
        let Some(scope) = scope else {
            return Self(None);
        };
        let is_sampled = scope.context.is_sampled();
        let context = match is_sampled {
            true => scope.context.child(),
            false => scope.context.clone(),
        };
        if !request.headers().contains_key(TRACEPARENT) {
            context.put_into(request.headers_mut());
        }
        if !is_sampled {
            return Self(None);
        }
        Self(Some(Box::new(Sending {
            scope,
            context,
            began: SystemTime::now(),
            work: OutgoingWork {
                method: method(request.method()),
                url: format!("{origin}{}", excerpt(request.uri().path(), PATH_CHARS)),
                host: origin.host().to_string(),
                port: origin.port(),
                plugin: plugin.to_owned(),
                status: None,
                failure: None,
            },
        })))
    }

    /// Ends it with the status of the answer.
    pub(super) fn answered(mut self, status: StatusCode) {
        if let Some(mut sending) = self.0.take() {
            sending.work.status = Some(status.as_u16());
            sending.end();
        }
    }

    /// Ends it without an answer.
    pub(super) fn failed(mut self, error: &Error, cause: &str) {
        if let Some(sending) = self.0.take() {
            sending.fail(kind(error), cause);
        }
    }
}

impl Drop for OutgoingSpan {
    fn drop(&mut self) {
        if let Some(sending) = self.0.take() {
            sending.fail("cancelled", "the sink did not wait for the answer");
        }
    }
}

impl Sending {
    fn fail(mut self, kind: &'static str, reason: &str) {
        let reason = reason.to_owned();
        self.work.failure = Some(SpanFailure { kind, reason });
        self.end();
    }

    fn end(self) {
        self.scope.tracer.ended(Span {
            context: self.context,
            parent: Some(Parent {
                span: self.scope.context.span,
                is_remote: false,
            }),
            began: self.began,
            ended: SystemTime::now(),
            work: Work::Outgoing(Box::new(self.work)),
        });
    }
}

/// The method, if it is one of those that everybody knows.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "_OTHER",
    }
}

/// The kind of an error, in the words of `wasi:http`.
const fn kind(error: &Error) -> &'static str {
    match error {
        Error::HttpRequestDenied => "http_request_denied",
        Error::HttpResponseTimeout => "http_response_timeout",
        Error::ConnectionTimeout => "connection_timeout",
        Error::ConnectionRefused => "connection_refused",
        Error::ConnectionTerminated => "connection_terminated",
        Error::ConnectionLimitReached => "connection_limit_reached",
        Error::DestinationIpProhibited => "destination_ip_prohibited",
        Error::DestinationIpUnroutable => "destination_ip_unroutable",
        Error::DestinationUnavailable => "destination_unavailable",
        Error::DnsTimeout => "dns_timeout",
        Error::DnsError { .. } => "dns_error",
        Error::TlsCertificateError => "tls_certificate_error",
        Error::TlsAlertReceived { .. } => "tls_alert_received",
        Error::TlsProtocolError => "tls_protocol_error",
        Error::HttpProtocolError => "http_protocol_error",
        _ => "_OTHER",
    }
}
