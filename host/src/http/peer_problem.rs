//! Where errors of the routes for peers become status codes.

use std::borrow::Cow;

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::response::plain;
use crate::peer::CHALLENGE;
use crate::peer::wire::NO_STREAM;

const UNSIGNED: &str =
    "not signed with the cluster's secret for this node, or a clock is wrong by a minute";
const REPLAYED: &str = "this signature was used before, or is older than this node's process; \
                        sign the request again";
const OLD_FORM: &str =
    "signed in the form of an earlier version; use a sluice of this node's version";

/// Why a request of a peer is refused.
#[derive(Debug)]
pub(super) enum PeerProblem {
    /// 400: the body is not what the route takes.
    Malformed(String),
    /// 401: the signature is missing or wrong, or for another node.
    Unsigned,
    /// 401: the signature was used before.
    Replayed,
    /// 401: the signature has a form that this route no longer takes.
    OldForm,
    /// 404
    NoStream,
    /// 409
    NotLeader,
    /// 500
    Failed(String),
    /// 503: the cluster's secret is not known yet.
    NoSecret,
    /// 503: the records were not taken; try again.
    NotTaken(&'static str),
    /// The body could not be read.
    Body(Problem),
}

impl PeerProblem {
    /// What is wrong with the signature, if that is it.
    pub(super) const fn of_signature(&self) -> Option<&'static str> {
        match self {
            Self::Unsigned => Some(UNSIGNED),
            Self::Replayed => Some(REPLAYED),
            Self::OldForm => Some(OLD_FORM),
            _ => None,
        }
    }
}

impl From<Problem> for PeerProblem {
    fn from(problem: Problem) -> Self {
        Self::Body(problem)
    }
}

impl IntoResponse for PeerProblem {
    fn into_response(self) -> Response {
        let (status, text): (_, Cow<'static, str>) = match self {
            Self::Malformed(what) => (StatusCode::BAD_REQUEST, what.into()),
            Self::Unsigned => (StatusCode::UNAUTHORIZED, UNSIGNED.into()),
            Self::Replayed => (StatusCode::UNAUTHORIZED, REPLAYED.into()),
            Self::OldForm => (StatusCode::UNAUTHORIZED, OLD_FORM.into()),
            Self::NoStream => (StatusCode::NOT_FOUND, NO_STREAM.into()),
            Self::NotLeader => (
                StatusCode::CONFLICT,
                "this node does not lead, or not under the epoch that the request names".into(),
            ),
            Self::Failed(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason.into()),
            Self::NoSecret => (
                StatusCode::SERVICE_UNAVAILABLE,
                "this node does not know the cluster's secret yet".into(),
            ),
            Self::NotTaken(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.into()),
            Self::Body(problem) => return problem.response(&HeaderMap::new()),
        };
        let mut response = plain(status, text);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(CHALLENGE);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
