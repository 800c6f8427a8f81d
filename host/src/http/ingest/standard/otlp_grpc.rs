//! OTLP over gRPC: the method `Export` of the logs service.

use std::sync::Arc;

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Packing, Parsed, Reply, Terms};
use sluice_protocols::answer::{Answer, Verdict};
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::otlp::grpc::{self, ACCEPTED_ENCODINGS, GrpcAnswer, PATH};
use sluice_protocols::otlp::protobuf;
use sluice_protocols::tokens::Protocol;

/// The content type of calls and answers.
const CONTENT_TYPE: &str = "application/grpc";
/// The headers that say how a call ended. An answer with a message has them as
/// trailers.
pub(super) const STATUS: &str = "grpc-status";
pub(super) const MESSAGE: &str = "grpc-message";
pub(super) const DETAILS: &str = "grpc-status-details-bin";

#[derive(Debug)]
struct Export;

/// The call, if it is one of this method.
pub(super) fn find(asked: &Asked) -> Option<Arc<dyn Exchange>> {
    let is_export = asked.method == "POST" && asked.path == PATH && is_call(asked);
    is_export.then(|| Arc::new(Export) as Arc<dyn Exchange>)
}

/// Whether it is a call of any method, with messages in protobuf.
pub(super) fn is_call(asked: &Asked) -> bool {
    let content_type = asked.header("content-type").unwrap_or_default();
    let name = content_type.split(';').next().unwrap_or_default().trim();
    let form = name.strip_prefix(CONTENT_TYPE);
    form.is_some_and(|form| form.is_empty() || form == "+proto")
}

/// The answer to a call, as headers and a body.
pub(super) fn answer(verdict: Verdict<'_>) -> Answer {
    let GrpcAnswer {
        body,
        status,
        message,
        details,
    } = grpc::answer(verdict);
    let mut answer = Answer::new(200, CONTENT_TYPE, body)
        .with_header("grpc-accept-encoding", ACCEPTED_ENCODINGS)
        .with_header(STATUS, status.to_string());
    for (name, value) in [(MESSAGE, message), (DETAILS, details)] {
        if !value.is_empty() {
            answer = answer.with_header(name, value);
        }
    }
    answer
}

impl Exchange for Export {
    fn protocol(&self) -> Protocol {
        Protocol::Otlp
    }

    fn packing(&self) -> Packing {
        Packing::GrpcFrame
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let decoded = protobuf::decode(body, terms.observed, terms.most, meter);
        decoded.map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        answer(verdict).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, HeaderValue, Method};

    fn asked(method: Method, path: &str, content_type: &'static str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        Asked {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers,
            may_leave_body: false,
            client: None,
            names: crate::tls::ClientNames::default(),
        }
    }

    #[test]
    fn a_call_has_its_method_path_and_content_type() {
        for (method, path, content_type, is_found) in [
            (Method::POST, PATH, "application/grpc", true),
            (Method::POST, PATH, "application/grpc+proto", true),
            (Method::POST, PATH, "application/grpc; a=b", true),
            (Method::POST, PATH, "application/grpc+json", false),
            (Method::POST, PATH, "application/grpc-web", false),
            (Method::POST, PATH, "application/json", false),
            (Method::GET, PATH, "application/grpc", false),
            (Method::POST, "/v1/logs", "application/grpc", false),
        ] {
            let found = find(&asked(method, path, content_type));
            assert_eq!(found.is_some(), is_found, "{path} {content_type}");
        }
    }

    #[test]
    fn only_what_is_not_empty_is_a_header() {
        let headers = |verdict| {
            let headers = answer(verdict).headers.into_iter();
            headers.map(|(name, _)| name).collect::<Vec<_>>()
        };
        let rejections = &sluice_protocols::rejected::Rejections::default();
        let settled = headers(Verdict::Settled {
            total: 1,
            rejections,
        });
        assert_eq!(settled, ["grpc-accept-encoding", STATUS]);
        let refused = headers(Verdict::NoToken);
        assert_eq!(refused, ["grpc-accept-encoding", STATUS, MESSAGE, DETAILS]);
    }
}
