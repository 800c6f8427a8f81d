//! Answers with Consul's headers and its forms of JSON.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::answer_body::{AnswerBody, Parts};
use super::problem::Problem;
use super::query::Query;
use crate::large_answers::LargePermit;

pub(super) const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
pub(super) const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
pub(super) const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
pub(super) const CONSISTENCY: HeaderName =
    HeaderName::from_static("x-consul-effective-consistency");

/// A successful answer while it is being built.
#[derive(Debug)]
pub(super) struct Answer(Response<AnswerBody>);

impl Answer {
    pub(super) fn empty() -> Self {
        Self(Response::new(AnswerBody::whole(Bytes::new())))
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
            // Unreachable: the shapes hold only text, numbers and maps with text keys.
            Err(error) => Self(Problem::internal(error.to_string()).into_response()),
        }
    }

    pub(super) fn of(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self::typed(AnswerBody::whole(body.into()), content_type)
    }

    /// JSON that is made while it is sent.
    pub(super) fn json_parts(parts: Parts) -> Self {
        Self::typed(AnswerBody::of_parts(parts), "application/json")
    }

    fn typed(body: AnswerBody, content_type: &'static str) -> Self {
        let mut response = Response::new(body);
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self(response)
    }

    /// Keeps the permit for a large answer until it is sent.
    pub(super) fn holding(mut self, permit: LargePermit) -> Self {
        self.0.body_mut().hold(permit);
        self
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.headers_mut().insert(name, value.into());
        self
    }

    /// Adds Consul's headers on freshness. Every read is up to date.
    pub(super) fn fresh(self) -> Self {
        self.header(KNOWN_LEADER, HeaderValue::from_static("true"))
            .header(LAST_CONTACT, 0)
    }

    /// Adds the index for the next blocking query. It is never 0, with which a
    /// query would not block.
    pub(super) fn index(self, index: u64) -> Self {
        self.fresh().header(INDEX, index.max(1))
    }

    /// Adds the index, and the header that only the catalog's routes have.
    pub(super) fn catalog(self, query: &Query, index: u64) -> Self {
        let consistency = match (query.has("stale"), query.has("consistent")) {
            (true, _) => "stale",
            (_, true) => "consistent",
            _ => "leader",
        };
        self.index(index)
            .header(CONSISTENCY, HeaderValue::from_static(consistency))
    }

    pub(super) fn into_response(self) -> Response<AnswerBody> {
        self.0
    }
}
