//! `GET /api/v1/history`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;

use super::context::AdminContext;
use crate::http::problem::Problem;
use crate::http::reading;
use crate::http::response::json;

/// What stands before a time in the query.
const SINCE: &str = "since=";

/// `GET /api/v1/history`: the samples of the last 15 minutes, or those that are
/// later than `?since=`, in milliseconds since the Unix epoch.
pub(in crate::http) async fn history(
    State(admin): State<Arc<AdminContext>>,
    request: Request<Body>,
) -> Response {
    let (head, _) = request.into_parts();
    let asked = admin.stream_of(&head).and_then(|stream| {
        reading::check(&admin.access, &head, &stream.name)?;
        Ok((since_of(head.uri.query())?, stream))
    });
    match asked {
        Ok((since, stream)) => json(&admin.histories.of(&stream, since)),
        Err(problem) => problem.response(&head.headers),
    }
}

/// The time in a query; 0 without one.
///
/// # Errors
/// It is not a number.
pub(in crate::http) fn since_of(query: Option<&str>) -> Result<u64, Problem> {
    let mut pairs = query.unwrap_or_default().split('&');
    let Some(since) = pairs.find_map(|pair| pair.strip_prefix(SINCE)) else {
        return Ok(0);
    };
    since.parse().map_err(|_| {
        let what = "since is not a time in milliseconds since 1970, such as 1700000000000";
        Problem::Malformed(what.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_the_query_is_read() {
        assert_eq!(since_of(None), Ok(0));
        assert_eq!(since_of(Some("x=1")), Ok(0));
        assert_eq!(since_of(Some("x=1&since=5000")), Ok(5000));
        for wrong in ["since=", "since=-1", "since=soon", "since=1e9"] {
            assert!(since_of(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
