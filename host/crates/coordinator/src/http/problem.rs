//! Errors as Consul answers them.

use bytes::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};

use super::answer_body::AnswerBody;
use crate::fields::DecodeError;
use crate::hub::Unavailable;
use crate::store::Refusal;

/// An answer that is an error or a redirect.
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

    /// The status that Consul uses for most errors.
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

    /// A redirect to the cleaned path.
    pub(super) fn moved(to: String) -> Self {
        Self {
            location: Some(to),
            ..Self::new(StatusCode::MOVED_PERMANENTLY, "")
        }
    }

    pub(super) fn into_response(self) -> Response<AnswerBody> {
        let text = Bytes::from(self.text.clone());
        let mut response = Response::new(AnswerBody::whole(text));
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
        let text = refusal.to_string();
        match refusal {
            Refusal::KeysFull | Refusal::SessionsFull | Refusal::CatalogFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, text)
            }
            _ => Self::internal(text),
        }
    }
}

/// The value of the header `Allow` for a route with these methods.
pub(super) fn allow(methods: &[Method]) -> String {
    let names = methods.iter().map(Method::as_str);
    ["OPTIONS"]
        .into_iter()
        .chain(names)
        .collect::<Vec<_>>()
        .join(",")
}
