//! Answers of the routes for the whole cluster, and where their errors become
//! status codes.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::http::problem::Problem;
use crate::http::response::{JSON, json_body, typed};

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum ClusterProblem {
    /// As on other routes.
    Of(Problem),
    /// 404
    Missing(String),
    /// 409: something has changed meanwhile, or is not as it must be.
    Conflict(String),
    /// 502: another node or Consul does not do what it is asked.
    Elsewhere(String),
}

impl From<Problem> for ClusterProblem {
    fn from(problem: Problem) -> Self {
        Self::Of(problem)
    }
}

impl ClusterProblem {
    /// What happened, for the audit log.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Of(problem) => problem.text(),
            Self::Missing(error) | Self::Conflict(error) | Self::Elsewhere(error) => error.into(),
        }
    }

    fn response(self, asked: &HeaderMap) -> Response {
        #[derive(Serialize)]
        struct Answer {
            error: String,
        }
        let (status, error) = match self {
            Self::Of(problem) => return problem.response(asked),
            Self::Missing(error) => (StatusCode::NOT_FOUND, error),
            Self::Conflict(error) => (StatusCode::CONFLICT, error),
            Self::Elsewhere(error) => (StatusCode::BAD_GATEWAY, error),
        };
        typed(status, JSON, json_body(&Answer { error }))
    }
}

/// `200 OK` with something that is not to be kept.
pub(super) fn fresh(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut answer = typed(StatusCode::OK, content_type, body);
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    answer
}

/// The same with a JSON document.
pub(super) fn fresh_json(document: &impl Serialize) -> Response {
    fresh(JSON, json_body(document))
}

/// The answer, or why there is none.
pub(super) fn answered(answer: Result<Response, ClusterProblem>, head: &Parts) -> Response {
    answer.unwrap_or_else(|problem| problem.response(&head.headers))
}
