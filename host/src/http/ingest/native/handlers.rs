//! The handlers of Sluice's own protocol.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer;
use super::format::Format;
use crate::http::client_address::ClientAddress;
use crate::http::ingest::counted::Counted;
use crate::http::ingest::forward::MESSAGE_ID;
use crate::http::ingest::repeated::{Known, Sent};
use crate::http::ingest::request_span::{Asking, RequestSpan};
use crate::http::ingest::service::{Accepted, Admitted, Ingest, Offer, Settled};
use crate::http::ingest::unread::Unread;
use crate::http::problem::Problem;
use crate::peer::relayed::{AnswerHead, RelayedHead, from_pairs, pairs};
use crate::rejects::Sender;
use crate::stream::Stream;
use sluice_delivery::Producer;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::native::decode;
use sluice_protocols::tokens::Protocol;
use sluice_types::clock::unix_nanos;
use sluice_types::record::Text;

const ONE: &str = "/api/v1/log";
const MANY: &str = "/api/v1/logs";

/// The routes of this protocol.
pub(in crate::http) fn routes() -> Router<Arc<Ingest>> {
    Router::new().route(ONE, post(log)).route(MANY, post(logs))
}

/// `POST /api/v1/log`: the body is the text of one message.
async fn log(State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    handle(&ingest, request, Messages::One).await
}

/// `POST /api/v1/logs`: many messages in one of three formats.
async fn logs(State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    handle(&ingest, request, Messages::Many).await
}

/// What a body holds.
#[derive(Clone, Copy, Debug)]
enum Messages {
    One,
    Many,
}

async fn handle(ingest: &Ingest, request: Request<Body>, messages: Messages) -> Response {
    let (head, body) = request.into_parts();
    let stream = match ingest.stream_of(&head) {
        Ok(stream) => stream,
        Err(problem) => {
            let limit = sleep_until(Instant::now() + ingest.limits.request);
            ingest.leave(&head, body, pin!(limit)).await;
            return ingest.answer(ingest.stream(), Err(problem), &head.headers);
        }
    };
    let span = ingest.span(Asking {
        method: &head.method,
        path: head.uri.path(),
        headers: &head.headers,
        client: sender(&head).client,
        protocol: Protocol::Native,
        stream: &stream.name,
    });
    let answer = respond(ingest, &stream, (&head, &span), body, messages).await;
    let answer = ingest.answer(&stream, answer, &head.headers);
    span.end(Some(answer.status()));
    answer
}

async fn respond(
    ingest: &Ingest,
    stream: &Stream,
    (head, span): (&Parts, &RequestSpan),
    body: Body,
    messages: Messages,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    let mut deadline = pin!(sleep_until(begun + ingest.limits.request));
    let admitting = ingest.admit(stream, head, body, span, deadline.as_mut());
    let accepted = match admitting.await? {
        Admitted::Here(accepted) => accepted,
        Admitted::Answered(response) => return Ok(response),
    };
    let client = accepted.client.clone();
    let counted = Counted::new(stream, Protocol::Native, &head.headers, begun, span);
    let answer = match messages {
        Messages::One => one(ingest, stream, head, accepted, counted, deadline).await,
        Messages::Many => many(ingest, stream, head, accepted, counted, deadline).await,
    };
    if let Err(Problem::Quota(_)) = answer {
        ingest.above_quota(&client, head);
    }
    answer
}

/// Whether a request that another node relayed is for one of these routes.
pub(in crate::http) fn is_own(target: &str) -> bool {
    messages(target).is_some()
}

fn messages(path: &str) -> Option<Messages> {
    match path {
        ONE => Some(Messages::One),
        MANY => Some(Messages::Many),
        _ => None,
    }
}

/// Answers a request that another node relayed.
///
/// # Errors
/// Its head is unreadable.
pub(in crate::http) async fn of_node(
    ingest: &Ingest,
    stream: &Stream,
    relayed: RelayedHead,
    body: Bytes,
) -> Result<(AnswerHead, Vec<u8>), Problem> {
    let begun = Instant::now();
    let unreadable = |_| Problem::Malformed("the head of the relayed request".to_owned());
    let messages = messages(&relayed.target).unwrap_or(Messages::Many);
    let wait = Duration::from_millis(relayed.wait_ms).min(ingest.limits.request);
    let request = Request::post(relayed.target).body(()).map_err(unreadable)?;
    let (mut head, ()) = request.into_parts();
    head.headers = from_pairs(relayed.headers);
    if let Some(client) = relayed.client {
        head.extensions.insert(ClientAddress(client));
    }
    let accepted = match ingest.admit_relayed(stream, relayed.name.as_deref(), &head, body) {
        Ok(accepted) => accepted,
        Err(answer) => return Ok((answer, Vec::new())),
    };
    let mut deadline = pin!(sleep_until(begun + wait));
    let span = ingest.span(Asking {
        method: &head.method,
        path: head.uri.path(),
        headers: &head.headers,
        client: relayed.client,
        protocol: Protocol::Native,
        stream: &stream.name,
    });
    let counted = Counted::new(stream, Protocol::Native, &head.headers, begun, &span);
    let answering = async {
        match messages {
            Messages::One => {
                one(ingest, stream, &head, accepted?, counted, deadline.as_mut()).await
            }
            Messages::Many => {
                many(ingest, stream, &head, accepted?, counted, deadline.as_mut()).await
            }
        }
    };
    let answer = match answering.await {
        Err(Problem::Quota(wait)) => return Ok((AnswerHead::quota(wait), Vec::new())),
        answer => ingest.answer(stream, answer, &head.headers),
    };
    span.end(Some(answer.status()));
    let (head, body) = answer.into_parts();
    // It was made here, and is bounded.
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let head = AnswerHead::Answer {
        status: head.status.as_u16(),
        headers: pairs(&head.headers),
    };
    Ok((head, body.unwrap_or_default().to_vec()))
}

async fn one(
    ingest: &Ingest,
    stream: &Stream,
    head: &Parts,
    accepted: Accepted<'_>,
    counted: Counted<'_>,
    mut deadline: Pin<&mut Sleep>,
) -> Result<Response, Problem> {
    let key = message_id(&head.headers)?;
    let id = key.clone();
    let unpacking = accepted.body.unpacked(deadline.as_mut());
    let (body, reservation) = unpacking.await?;
    let sent = Sent {
        client: sender(head).client,
        place: (&stream.name, head.uri.path()),
        id: id.as_deref().map(str::as_bytes),
        body: body.clone(),
    };
    let record = decode::one(body, key, unix_nanos()).inspect_err(|error| {
        let reason = error.to_string();
        counted.rejected(1);
        stream
            .rejects
            .keep_record(sender(head), &reason, &sent.body);
    })?;
    let offer = Offer {
        stream,
        intake: &accepted.intake,
        producer: Producer::IsTold,
        charge: accepted.charge,
        trace: counted.context(),
        ids: Vec::new(),
        records: vec![record],
        reservation,
    };
    match settle(ingest, sent, offer, (counted, 1, 0), deadline).await? {
        Ended::Delivered(settled) => answer::single(settled),
        Ended::Repeated { epoch } => {
            let rejected = Vec::new();
            answer::single(Settled { epoch, rejected }).map(answer::repeated)
        }
    }
}

async fn many(
    ingest: &Ingest,
    stream: &Stream,
    head: &Parts,
    accepted: Accepted<'_>,
    counted: Counted<'_>,
    mut deadline: Pin<&mut Sleep>,
) -> Result<Response, Problem> {
    let format = Format::of(&head.headers)?;
    let id = message_id(&head.headers)?;
    let sent = Sent {
        client: sender(head).client,
        place: (&stream.name, head.uri.path()),
        id: id.as_deref().map(str::as_bytes),
        // Only an id needs its content.
        body: id
            .as_ref()
            .map_or_else(Bytes::new, |_| accepted.body.bytes().clone()),
    };
    let most = ingest.limits.records;
    let unread = Unread::default();
    let decoding = format.decode(accepted.body, most, deadline.as_mut(), unread.clone());
    let (decoded, mut reservation) = decoding
        .await
        .inspect_err(|problem| unread.keep(problem, sender(head), b"", &stream.rejects))?;
    let Decoded { records, rejected } = decoded;
    stream.rejects.keep(sender(head), &rejected);
    let total = records.len() + rejected.len();
    // This stays charged until the answer is sent.
    let for_answer = reservation.split(rejected.bytes());
    if records.is_empty() {
        counted.rejected(total);
        let rejections = rejected.merge(Vec::new());
        let epoch = accepted.intake.epoch();
        return Ok(answer::many(epoch, total, &rejections, for_answer));
    }
    let offer = Offer {
        stream,
        intake: &accepted.intake,
        producer: Producer::IsTold,
        charge: accepted.charge,
        trace: counted.context(),
        ids: Vec::new(),
        records,
        reservation,
    };
    let counted = (counted, total, rejected.len());
    Ok(
        match settle(ingest, sent, offer, counted, deadline).await? {
            Ended::Delivered(Settled {
                epoch,
                rejected: by_sink,
            }) => answer::many(epoch, total, &rejected.merge(by_sink), for_answer),
            Ended::Repeated { epoch } => {
                let rejections = rejected.merge(Vec::new());
                answer::repeated(answer::many(epoch, total, &rejections, for_answer))
            }
        },
    )
}

/// How a request that was taken ends.
enum Ended {
    Delivered(Settled),
    /// It was acknowledged before.
    Repeated {
        epoch: u64,
    },
}

/// Delivers the records, unless the same request was acknowledged before. So many
/// are counted, of which so many were rejected already.
async fn settle(
    ingest: &Ingest,
    mut sent: Sent<'_>,
    offer: Offer<'_>,
    (counted, total, rejected): (Counted<'_>, usize, usize),
    mut deadline: Pin<&mut Sleep>,
) -> Result<Ended, Problem> {
    if sent.id.is_none() {
        // Nothing tells it from another one with these records.
        let delivered = ingest.deliver(offer, deadline, || None).await;
        let settled = counted.delivered(delivered, total, rejected)?;
        return Ok(Ended::Delivered(settled));
    }
    let known = sent.known(ingest.once(), offer.intake, deadline.as_mut());
    let known = known.await;
    // The queue accounts for the memory of the records only.
    sent.body = Bytes::new();
    match known.inspect_err(|problem| counted.failed(total, problem))? {
        Known::New(delivery) => {
            let delivered = sent.deliver(ingest, offer, deadline, delivery).await;
            let settled = counted.delivered(delivered, total, rejected)?;
            Ok(Ended::Delivered(settled))
        }
        Known::Acknowledged => {
            counted.duplicate(total);
            let epoch = offer.intake.epoch();
            Ok(Ended::Repeated { epoch })
        }
    }
}

/// Who sent the request.
fn sender(head: &Parts) -> Sender {
    Sender {
        protocol: Protocol::Native.name(),
        client: head.extensions.get().map(|ClientAddress(client)| *client),
    }
}

/// The producer's own id of the message, if it sent one.
fn message_id(headers: &HeaderMap) -> Result<Option<Text>, Problem> {
    let Some(value) = headers.get(MESSAGE_ID) else {
        return Ok(None);
    };
    match Text::try_from(Bytes::copy_from_slice(value.as_bytes())) {
        Ok(id) => Ok((!id.is_empty()).then_some(id)),
        Err(_) => Err(Problem::Malformed(
            "Sluice-Message-Id is not UTF-8".to_owned(),
        )),
    }
}
