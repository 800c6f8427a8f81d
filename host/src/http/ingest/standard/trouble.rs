//! Why a request of a standard protocol is not settled here.

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;

use crate::http::problem::Problem;
use sluice_protocols::answer::Verdict;

/// Why a request is not settled here.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This node does not lead, and the request was relayed to it.
    NotLeader,
    NoToken,
    WrongToken,
    Problem(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Trouble {
    /// What is left of the body would be read as the next request.
    pub(super) fn close(&self, mut response: Response) -> Response {
        let ends_connection = match self {
            Self::NoToken | Self::WrongToken => true,
            Self::Problem(problem) => problem.ends_connection(),
            Self::NotLeader => false,
        };
        if ends_connection {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// What a protocol is to say about a problem.
pub(super) fn verdict<'a>(problem: &Problem, text: &'a str) -> Verdict<'a> {
    match problem {
        Problem::Malformed(_) | Problem::Refused(_) => Verdict::Malformed(text),
        Problem::Unsupported(_) => Verdict::Unsupported(text),
        Problem::TooLarge(_) => Verdict::TooLarge(text),
        Problem::Unauthorized | Problem::CrossSite(_) | Problem::Forbidden(_) => {
            Verdict::WrongToken
        }
        Problem::Stopping => Verdict::Stopping,
        Problem::Unknown(_) => Verdict::Unknown(text),
        // Status 408 is final for several clients.
        Problem::Full
        | Problem::Busy(_)
        | Problem::NoStream(_)
        | Problem::Unavailable(_)
        | Problem::SlowBody
        | Problem::NotLeader
        | Problem::Elsewhere(_) => Verdict::Busy(text),
    }
}
