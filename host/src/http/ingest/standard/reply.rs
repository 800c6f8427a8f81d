//! Answers of standard protocols as HTTP responses.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::exchange::Reply;
use crate::http::charged_body::charged;
use crate::peer::relayed::{AnswerHead, pairs};
use sluice_protocols::answer::Answer;
use sluice_protocols::memory_budget::MemoryBudget;

/// The response, whose body counts in the budget; `None` to close the connection.
pub(super) fn response(reply: Reply, memory: &Arc<MemoryBudget>) -> Option<Response> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Close => return None,
    };
    let headers = headers(&answer);
    let mut response = Response::new(charged(answer.body, memory.reserve()));
    *response.status_mut() = status(answer.status);
    *response.headers_mut() = headers;
    Some(response)
}

/// The same for the node that relayed the request.
pub(super) fn for_node(reply: Reply) -> (AnswerHead, Vec<u8>) {
    match reply {
        Reply::Close => (AnswerHead::Close, Vec::new()),
        Reply::Answer(answer) => {
            let head = AnswerHead::Answer {
                status: answer.status,
                headers: pairs(&headers(&answer)),
            };
            (head, answer.body)
        }
    }
}

fn headers(answer: &Answer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !answer.content_type.is_empty() {
        let content_type = HeaderValue::from_static(answer.content_type);
        headers.insert(CONTENT_TYPE, content_type);
    }
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
