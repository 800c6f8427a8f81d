//! Answers: Consul's headers, its forms of JSON, and its errors.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::query::Query;
use crate::fields::DecodeError;
use crate::hub::Unavailable;
use crate::store::Refusal;

pub(super) const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
pub(super) const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
pub(super) const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
pub(super) const CONSISTENCY: HeaderName =
    HeaderName::from_static("x-consul-effective-consistency");

/// An answer that is not the one that was hoped for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    text: String,
    allow: Option<String>,
    location: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            allow: None,
            location: None,
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What Consul says of most things that it can not do.
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "")
    }

    pub(super) fn decode(error: &DecodeError) -> Self {
        Self::bad_request(format!("Request decode failed: {error}"))
    }

    pub(super) fn method(method: &Method, allowed: &[Method]) -> Self {
        Self {
            allow: Some(allow(allowed)),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("method {method} not allowed"),
            )
        }
    }

    /// The path without what is too much in it.
    pub(super) fn moved(to: String) -> Self {
        Self {
            location: Some(to),
            ..Self::new(StatusCode::MOVED_PERMANENTLY, "")
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.text.clone())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !self.text.is_empty() {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            headers.insert(CONTENT_TYPE, plain);
        }
        for (name, value) in [(ALLOW, self.allow), (LOCATION, self.location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::internal(refusal.to_string())
    }
}

/// The header `Allow` for a route with these methods.
pub(super) fn allow(methods: &[Method]) -> String {
    let names = methods.iter().map(Method::as_str);
    ["OPTIONS"]
        .into_iter()
        .chain(names)
        .collect::<Vec<_>>()
        .join(",")
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answer(Response<Full<Bytes>>);

impl Answer {
    /// With nothing in it.
    pub(super) fn empty() -> Self {
        Self(Response::default())
    }

    pub(super) fn json(query: &Query, value: &impl Serialize) -> Self {
        let is_pretty = query.has("pretty");
        let bytes = if is_pretty {
            let mut bytes = Vec::new();
            let formatter = PrettyFormatter::with_indent(b"    ");
            let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
            let written = value.serialize(&mut serializer);
            bytes.push(b'\n');
            written.map(|()| bytes)
        } else {
            serde_json::to_vec(value)
        };
        match bytes {
            Ok(bytes) => Self::of(bytes, "application/json"),
            // Texts and numbers only: it always goes.
            Err(error) => Self(Problem::internal(error.to_string()).into_response()),
        }
    }

    pub(super) fn of(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        let mut response = Response::new(Full::new(body.into()));
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self(response)
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.headers_mut().insert(name, value.into());
        self
    }

    /// Says how fresh it is: as fresh as can be.
    pub(super) fn fresh(self) -> Self {
        self.header(KNOWN_LEADER, HeaderValue::from_static("true"))
            .header(LAST_CONTACT, 0)
    }

    /// Says what to wait beyond: never 0, beyond which nobody would wait.
    pub(super) fn index(self, index: u64) -> Self {
        self.fresh().header(INDEX, index.max(1))
    }

    /// The same, as the catalog's routes do.
    pub(super) fn catalog(self, query: &Query, index: u64) -> Self {
        let consistency = match (query.has("stale"), query.has("consistent")) {
            (true, _) => "stale",
            (_, true) => "consistent",
            _ => "leader",
        };
        self.index(index)
            .header(CONSISTENCY, HeaderValue::from_static(consistency))
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        self.0
    }
}
