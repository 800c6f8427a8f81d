//! The handlers of requests of standard protocols.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::sleep;

use super::asked::Asked;
use super::clock::Clock;
use super::context::Standard;
use super::exchange::Exchange;
use super::flow::Flow;
use super::found::{Found, Question};
use super::reply::response;
use super::table;
use super::upload;
use crate::http::chosen::is_in_path;
use crate::http::ingest::body::discard;
use crate::http::ingest::client::relayed;
use crate::http::ingest::service::{Ingest, last_if_stopping};
use crate::http::no_answer::NoAnswer;
use crate::http::problem::Problem;
use crate::peer::relayed::{AnswerHead, RelayedHead, from_pairs};
use crate::stream::Stream;
use crate::tls::ClientNames;
use sluice_protocols::answer::Answer;
use sluice_protocols::memory_budget::Reservation;

/// How much of a body is read that no answer depends on, and for how long. To many
/// clients, an answer that comes while they still send looks like a broken
/// connection.
const DISCARD_LIMITS: (usize, Duration) = (1 << 20, Duration::from_secs(1));
/// The most bytes of a question, and how long it may take to arrive.
const QUESTION_LIMITS: (usize, Duration) = (1 << 20, Duration::from_secs(5));

/// Answers a request that none of Sluice's own routes takes; `None` if no protocol
/// knows it.
pub(in crate::http) async fn of_client(
    standard: &Standard,
    request: Request<Body>,
) -> Option<Response> {
    let ingest = &*standard.ingest;
    let (head, body) = request.into_parts();
    let asked = Asked::of(&head);
    if is_for_people(&asked) && !is_in_path(&head.extensions) {
        return None;
    }
    let found = table::find(&asked, &standard.facts)?;
    let stream = match ingest.stream_of(&head) {
        Ok(stream) => stream,
        Err(problem) => {
            leave(&asked, body).await;
            let answer = problem.response(&asked.headers);
            return Some(last_if_stopping(ingest.stream(), answer));
        }
    };
    let answer = match found {
        Found::Answer(answer) => {
            leave(&asked, body).await;
            response(answer.into(), ingest.memory())
        }
        Found::Question(question) => {
            let answer = answered(ingest, &asked, body, question).await;
            answer.map_or_else(
                |problem| Some(without_request_timeout(problem).response(&asked.headers)),
                |(answer, _charged)| response(answer.into(), ingest.memory()),
            )
        }
        Found::Exchange(exchange) => exchanged(standard, &stream, &exchange, &asked, body).await,
        Found::Upload => upload::take(standard, &stream, &asked, body).await,
    };
    let answer = answer.unwrap_or_else(NoAnswer::response);
    let answer = without_body(&asked.method, answer);
    Some(last_if_stopping(&stream, answer))
}

/// Settles a request for records. `None` if its connection is to be closed.
async fn exchanged(
    standard: &Standard,
    stream: &Stream,
    exchange: &Arc<dyn Exchange>,
    asked: &Asked,
    body: Body,
) -> Option<Response> {
    let ingest = &*standard.ingest;
    let span = ingest.span(asked.asking(exchange.protocol(), &stream.name));
    let flow = Flow {
        ingest,
        stream,
        exchange,
        asked,
        clock: Clock::start(standard.park, ingest.limits.request),
        span: &span,
        client: None,
        relay: Some(&*standard.relay),
    };
    let answer = flow.of_client(body).await;
    span.end(answer.as_ref().map(Response::status));
    answer
}

/// Answers a request that another node relayed.
pub(in crate::http) async fn of_node(
    standard: &Standard,
    stream: &Stream,
    head: RelayedHead,
    body: Bytes,
) -> Result<(AnswerHead, Vec<u8>), Problem> {
    let ingest = &*standard.ingest;
    let unreadable = || Problem::Malformed("the head of the relayed request".to_owned());
    let uri: Uri = head.target.parse().map_err(|_| unreadable())?;
    let asked = Asked {
        method: head.method.parse().map_err(|_| unreadable())?,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: from_pairs(head.headers),
        may_leave_body: true,
        client: head.client,
        names: ClientNames::default(),
    };
    let found = table::find_relayed(&asked, &standard.facts);
    let Some(Found::Exchange(exchange)) = found else {
        return Err(Problem::Malformed("it is of no known protocol".to_owned()));
    };
    let named = (head.name.as_deref(), head.client);
    let client = match relayed(ingest.access(), stream, exchange.protocol(), named) {
        Ok(client) => client,
        Err(why) => return Ok((AnswerHead::NotTaken(why), Vec::new())),
    };
    let limit = ingest.limits.request;
    let wait = Duration::from_millis(head.wait_ms).min(limit);
    let span = ingest.span(asked.asking(exchange.protocol(), &stream.name));
    let flow = Flow {
        ingest,
        stream,
        exchange: &exchange,
        asked: &asked,
        clock: Clock::start(Duration::from_millis(head.park_ms), wait),
        span: &span,
        client,
        relay: None,
    };
    let received = ingest.reader(ingest.limits.body).of(body, None);
    let (head, body) = flow.of_node(received).await;
    span.end(match &head {
        AnswerHead::Answer { status, .. } => StatusCode::from_u16(*status).ok(),
        AnswerHead::NotLeader | AnswerHead::NotTaken(_) => Some(StatusCode::SERVICE_UNAVAILABLE),
        AnswerHead::Quota { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
        AnswerHead::Close => None,
    });
    Ok((head, body))
}

/// Reads some of a body that no answer depends on, if its client does not see one
/// before.
async fn leave(asked: &Asked, body: Body) {
    if !asked.may_leave_body {
        let (most, time) = DISCARD_LIMITS;
        discard(body, most, pin!(sleep(time))).await;
    }
}

/// Whether a browser asks for the first page.
fn is_for_people(asked: &Asked) -> bool {
    let accepts = asked
        .headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let is_read = asked.method == Method::GET || asked.method == Method::HEAD;
    is_read && asked.path == "/" && accepts.is_some_and(|accept| accept.contains("text/html"))
}

async fn answered(
    ingest: &Ingest,
    asked: &Asked,
    body: Body,
    question: Question,
) -> Result<(Answer, Reservation), Problem> {
    let (limit, time) = QUESTION_LIMITS;
    let mut deadline = pin!(sleep(time));
    let reader = ingest.reader(limit);
    let received = reader
        .receive(&asked.headers, body, deadline.as_mut())
        .await?;
    let answer = |body: Bytes, meter: &mut _| Ok(question(&body, meter));
    received.decode(deadline, answer).await
}

/// Status 408 is final for several clients.
fn without_request_timeout(problem: Problem) -> Problem {
    match problem {
        Problem::SlowBody => Problem::Unavailable("the body did not arrive in time".to_owned()),
        other => other,
    }
}

/// The answer to `HEAD` has no body.
fn without_body(method: &Method, answer: Response) -> Response {
    match *method {
        Method::HEAD => answer.map(|_| Body::empty()),
        _ => answer,
    }
}
