//! The one place where outcomes become status codes.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use sluice_delivery::{Outcome, Refused, Rejection};

/// The epoch under which an acknowledgement was decided.
pub(super) const EPOCH: HeaderName = HeaderName::from_static("sluice-epoch");

/// Why a request is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// 400: the body can not be read at all.
    Malformed(String),
    /// 400 with `Not Leader`: `--follower reject`.
    NotLeader,
    /// 307 to the leader.
    Elsewhere(String),
    /// 401: no token, or a wrong one.
    Unauthorized,
    /// 408: the body did not arrive in time.
    SlowBody,
    /// 413: more than is allowed, of what.
    TooLarge(String),
    /// 415: no such content type or encoding.
    Unsupported(String),
    /// 422: refused for good.
    Refused(String),
    /// 429: the queue is full.
    Full,
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
                Self::Unavailable("this node's journal can not be written at the moment".to_owned())
            }
        }
    }
}

/// What an outcome means for one message.
pub(super) fn single(outcome: Outcome) -> Result<Response, Problem> {
    let (epoch, rejected) = settled(outcome)?;
    match rejected.into_iter().next() {
        Some(rejection) => Err(Problem::Refused(rejection.reason)),
        None => Ok(acknowledged(
            epoch,
            "text/plain; charset=utf-8",
            "OK".into(),
        )),
    }
}

/// What it means for many; `total` counts the rejected too.
pub(super) fn many(epoch: u64, total: usize, rejected: &[Rejection]) -> Response {
    #[derive(Serialize)]
    struct Answer<'a> {
        accepted: usize,
        rejected: Vec<Place<'a>>,
    }
    #[derive(Serialize)]
    struct Place<'a> {
        index: usize,
        reason: &'a str,
    }
    let places = rejected.iter().map(|r| Place {
        index: r.index,
        reason: &r.reason,
    });
    let answer = Answer {
        accepted: total - rejected.len(),
        rejected: places.collect(),
    };
    acknowledged(epoch, "application/json", json(&answer))
}

/// The epoch and the rejected records of an acknowledged request.
pub(super) fn settled(outcome: Outcome) -> Result<(u64, Vec<Rejection>), Problem> {
    match outcome {
        Outcome::Acknowledged { epoch, rejected } => Ok((epoch, rejected)),
        Outcome::NotDelivered(reason) => Err(Problem::Unavailable(reason.to_owned())),
        Outcome::Unknown(reason) => Err(Problem::Unknown(reason)),
    }
}

fn acknowledged(epoch: u64, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(EPOCH, HeaderValue::from(epoch));
    response
}

fn json(value: &impl Serialize) -> Body {
    // Numbers and strings always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default().into()
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::NotLeader => StatusCode::BAD_REQUEST,
            Self::Elsewhere(_) => StatusCode::TEMPORARY_REDIRECT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What happened, and what to do.
    fn text(&self) -> String {
        match self {
            Self::NotLeader | Self::Elsewhere(_) => "Not Leader".to_owned(),
            Self::Unauthorized => {
                "this node wants a token: send the header Authorization: Bearer <token>".to_owned()
            }
            Self::SlowBody => {
                "the body did not arrive in time; nothing was delivered, send it again".to_owned()
            }
            Self::Malformed(what) | Self::TooLarge(what) | Self::Unsupported(what) => what.clone(),
            Self::Refused(reason) => {
                format!("refused for good: {reason}; sending it again will not help")
            }
            Self::Full => {
                "too much is waiting to be delivered; nothing of this was taken, send it again in a \
                 second"
                    .to_owned()
            }
            Self::Unavailable(reason) => {
                format!("{reason}; nothing was delivered, send it again in a second")
            }
            Self::Stopping => {
                "this node is stopping; nothing was delivered, send it to another".to_owned()
            }
            Self::Unknown(reason) => format!(
                "outcome unknown: {reason}; sending it again may deliver it twice, unless it \
                 carries a Sluice-Message-Id"
            ),
        }
    }

    /// The response, as JSON for whoever asks for it.
    pub(super) fn response(self, asked: &HeaderMap) -> Response {
        #[derive(Serialize)]
        struct Answer<'a> {
            error: &'a str,
        }
        let text = self.text();
        let wants_json = asked
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/json"));
        let (content_type, body) = if wants_json {
            ("application/json", json(&Answer { error: &text }))
        } else {
            ("text/plain; charset=utf-8", Body::from(text))
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        match &self {
            Self::Full | Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Stopping => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // What is left of the body would be read as the next request.
            Self::TooLarge(_) | Self::SlowBody => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Elsewhere(location) => {
                if let Ok(location) = HeaderValue::from_str(location) {
                    headers.insert(LOCATION, location);
                }
            }
            _ => {}
        }
        response
    }
}
