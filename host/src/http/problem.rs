//! The one place where errors become status codes.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::response::{JSON, accepts, json_body, plain, typed};
use sluice_delivery::Refused;
use sluice_protocols::error::DecodeError;
use sluice_protocols::memory_budget::Exhausted;
use sluice_protocols::meter::Stop;

/// The epoch under which an acknowledgement was decided.
pub(super) const EPOCH: HeaderName = HeaderName::from_static("sluice-epoch");

/// Why a request is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// 400: the body cannot be read at all.
    Malformed(String),
    /// 400 with `Not Leader`: `--follower reject`.
    NotLeader,
    /// 307 to the leader, at this URL.
    Elsewhere(String),
    /// 401: no token, or a wrong one.
    Unauthorized,
    /// 403: a browser sends it for a page of another origin, which is named if
    /// it is known.
    CrossSite(String),
    /// 403: it may not be read from there; the text says what to do.
    Forbidden(String),
    /// 404: there is no stream of this name.
    NoStream(String),
    /// 408: the body did not arrive in time.
    SlowBody,
    /// 413: what is larger than allowed.
    TooLarge(String),
    /// 415: an unknown content type or encoding.
    Unsupported(String),
    /// 422: refused for good.
    Refused(String),
    /// 429: the queue is full.
    Full,
    /// 503: too many do this at the moment; the text says what to do.
    Busy(String),
    /// 503: certainly not delivered, try again.
    Unavailable(String),
    /// 503, and this connection is closed.
    Stopping,
    /// 504: offered and not confirmed.
    Unknown(String),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::TooLarge => Self::TooLarge(
                "the request alone is more than may ever wait; send it in smaller parts, or raise \
                 --queue-records and --queue-bytes, or with --ack journal --journal-bytes"
                    .to_owned(),
            ),
            Refused::Closed(reason) => Self::Unavailable(reason.to_owned()),
            Refused::Failing => {
                Self::Unavailable("this node's journal cannot be written at the moment".to_owned())
            }
        }
    }
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Now => Self::Full,
            Exhausted::Ever => Self::TooLarge(
                "the request needs more memory than all requests together may take; send it in \
                 smaller parts, or raise --queue-bytes"
                    .to_owned(),
            ),
        }
    }
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Exhausted(exhausted) => exhausted.into(),
            Stop::TooManyRecords => Refused::TooLarge.into(),
            Stop::Abandoned => Self::Unavailable("nobody waits for this request".to_owned()),
        }
    }
}

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(what) => Self::Malformed(what),
            DecodeError::Refused(reason) => Self::Refused(reason),
            DecodeError::Unsupported(what) => Self::Unsupported(what),
            DecodeError::Stopped(stop) => stop.into(),
        }
    }
}

impl Problem {
    /// Whether a decoder found it in what was sent.
    pub(crate) const fn is_of_body(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Refused(_))
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::NotLeader => StatusCode::BAD_REQUEST,
            Self::Elsewhere(_) => StatusCode::TEMPORARY_REDIRECT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::CrossSite(_) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NoStream(_) => StatusCode::NOT_FOUND,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) | Self::Unavailable(_) | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unknown(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What happened, and what to do.
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match self {
            Self::NotLeader | Self::Elsewhere(_) => "Not Leader".into(),
            Self::Unauthorized => {
                "this node wants a token: send the header Authorization: Bearer <token>".into()
            }
            Self::CrossSite(origin) => format!(
                "a page of another origin ({origin:.200}) may not send this; if it should, start \
                 the node with --allow-origin"
            )
            .into(),
            Self::SlowBody => {
                "the body did not arrive in time; nothing was delivered, send it again".into()
            }
            Self::Malformed(what)
            | Self::TooLarge(what)
            | Self::Unsupported(what)
            | Self::Busy(what)
            | Self::Forbidden(what) => what.clone().into(),
            Self::NoStream(name) => format!("there is no stream {name:.100?}").into(),
            Self::Refused(reason) => {
                format!("refused for good: {reason}; sending it again will not help").into()
            }
            Self::Full => {
                "too much is waiting to be delivered; nothing of this was taken, send it \
                           again in a second"
                    .into()
            }
            Self::Unavailable(reason) => {
                format!("{reason}; nothing was delivered, send it again in a second").into()
            }
            Self::Stopping => {
                "this node is stopping; nothing was delivered, send it to another".into()
            }
            Self::Unknown(reason) => format!(
                "outcome unknown: {reason}; sending it again may deliver it twice, unless it \
                 carries a Sluice-Message-Id"
            )
            .into(),
        }
    }

    /// The response, in JSON if the headers of the request ask for it.
    pub(super) fn response(self, asked: &HeaderMap) -> Response {
        #[derive(Serialize)]
        struct Answer<'a> {
            error: &'a str,
        }
        let text = self.text();
        let mut response = if accepts(asked, JSON) {
            typed(self.status(), JSON, json_body(&Answer { error: &text }))
        } else {
            plain(self.status(), text)
        };
        self.add_headers(response.headers_mut());
        response
    }

    /// Whether the connection must end with the answer: what is left of the body
    /// would be read as the next request, or the node ends.
    pub(super) const fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Stopping | Self::TooLarge(_) | Self::SlowBody | Self::CrossSite(_)
        )
    }

    fn add_headers(self, headers: &mut HeaderMap) {
        if self.ends_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::Full | Self::Unavailable(_) | Self::Stopping => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Elsewhere(location) => {
                if let Ok(location) = HeaderValue::try_from(location) {
                    headers.insert(LOCATION, location);
                }
            }
            _ => {}
        }
    }
}
