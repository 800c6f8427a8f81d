//! The routes for other nodes and the command line.
//!
//! A request is for the stream that the query names (`?stream=<name>`), or for
//! the default stream.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::oneshot;

use super::admin::history::since_of;
use super::ingest::{native, standard};
use super::letter_list;
use super::peer_context::PeerContext;
use super::peer_problem::PeerProblem;
use super::problem::Problem;
use super::response::{BINARY, JSON, json, typed};
use super::signed_body::OldForm;
use crate::peer::delivered::{DeliveryAnswer, DeliveryHead, refusals};
use crate::peer::letters::LetterQuery;
use crate::peer::relayed::RelayedHead;
use crate::peer::wire::{AssistRequest, Assisted, Removed, StepDownAnswer, StepDownRequest};
use crate::peer::{PROBED, TailRequest, relayed};
use crate::stream::{ReceiveError, Route};
use sluice_delivery::{Chunk, JournalId, Producer};
use sluice_leadership::{Act, AssistanceRequest};
use sluice_types::error_chain::chain;
use sluice_types::record::LogRecord;
use sluice_types::record_document::RecordDocument;

/// The time to ask Consul for another node.
const ASSIST_LIMIT: Duration = Duration::from_secs(4);

/// The routes for peers.
pub(crate) fn router(context: Arc<PeerContext>) -> Router {
    Router::new()
        .route(PROBED, get(list))
        .route("/internal/v1/dead-letters/remove", post(remove))
        .route("/internal/v1/dead-letters/find", post(find_letters))
        .route("/internal/v1/dead-letters/read", post(read_letters))
        .route("/internal/v1/view", get(view))
        .route("/internal/v1/streams", get(streams))
        .route("/internal/v1/debug", get(debug))
        .route("/internal/v1/rejects", get(rejects))
        .route("/internal/v1/history", get(history))
        .route("/internal/v1/records", post(records))
        .route("/internal/v1/handover/{journal}", post(transfer))
        .route("/internal/v1/deliver", post(deliver))
        .route("/internal/v1/relay", post(relay))
        .route("/internal/v1/step-down", post(step_down))
        .route("/internal/v1/assist", post(assist))
        .route("/internal/v1/tail", post(tail))
        .with_state(context)
}

type Context = State<Arc<PeerContext>>;

async fn list(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let list = letter_list::body(admitted.stream.letters.clone()).await;
    list.map(|list| typed(StatusCode::OK, JSON, list))
        .map_err(|error| failed(&*error))
}

async fn remove(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let ids: Vec<String> = admitted.document()?;
    let action = context.action(&admitted, "remove dead letters");
    match admitted.stream.letters.remove(ids).await {
        Ok(removed) => {
            action.done(removed.to_string());
            Ok(json(&Removed { removed }))
        }
        Err(error) => {
            action.failed(chain(&error));
            Err(failed(&error))
        }
    }
}

/// What this node says of itself to the page that another one serves.
async fn view(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    Ok(json(&context.own.view(&admitted.stream)))
}

/// What this node says of its streams.
async fn streams(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    context.admit(request).await?;
    Ok(json(&context.own.streams()))
}

/// What this node tells of itself for a bug report.
async fn debug(
    State(context): State<Arc<PeerContext>>,
    request: Request<Body>,
) -> Result<Response, PeerProblem> {
    context.admit(request).await?;
    let body = context.reporter.body().await;
    body.map(|body| typed(StatusCode::OK, JSON, body))
        .map_err(PeerProblem::Failed)
}

/// The latest dead letters that a query admits, without their records.
async fn find_letters(
    State(context): Context,
    request: Request<Body>,
) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let query: LetterQuery = admitted.document()?;
    let found = context.own.find_letters(&admitted.stream, query).await;
    found.map(|found| json(&found)).map_err(PeerProblem::Failed)
}

/// The dead letters with these ids, as many of them as fit.
async fn read_letters(
    State(context): Context,
    request: Request<Body>,
) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let ids: Vec<String> = admitted.document()?;
    let read = context.own.read_letters(&admitted.stream, ids).await;
    read.map(|read| json(&read)).map_err(PeerProblem::Failed)
}

/// What decoders of this node rejected lately.
async fn rejects(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    Ok(json(&admitted.stream.rejects.list()))
}

/// What this node did in the last 15 minutes, or after the time `?since=`.
async fn history(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let since = since_of(request.uri().query());
    let admitted = context.admit(request).await?;
    let since = since.map_err(|problem| PeerProblem::Malformed(problem.text().into()))?;
    Ok(json(&context.histories.of(&admitted.stream, since)))
}

/// Takes records in the form that loses nothing, with the ids that they have.
async fn records(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let documents: Vec<RecordDocument> = admitted.document()?;
    let records: Vec<_> = documents.into_iter().map(LogRecord::from).collect();
    let total = records.len();
    let ingest = &context.ingest;
    let wait = ingest.limits.request;
    let action = context.action(&admitted, "send records again");
    let taken = ingest
        .take(&admitted.stream, Producer::IsTold, records, wait)
        .await;
    match &taken {
        Ok(settled) => action.done((total - settled.rejected.len()).to_string()),
        Err(problem) => action.failed(problem.text().into_owned()),
    }
    let answer = taken.map(|settled| native::to_peer(total, settled));
    Ok(ingest.answer(&admitted.stream, answer, &admitted.headers))
}

/// Takes frames of another node's journal, which is named in the path. A node
/// of the version before signs in the old form; what it sends is taken, so that
/// its records need not wait until it is upgraded.
async fn transfer(
    State(context): Context,
    Path(journal): Path<String>,
    request: Request<Body>,
) -> Result<Response, PeerProblem> {
    let admitted = context.admit_form(request, OldForm::Taken).await?;
    let id = hex::decode(&journal).ok().and_then(|id| id.try_into().ok());
    let (Some(id), Some(chunk)) = (id, Chunk::from_frames(admitted.body.bytes)) else {
        let what = "not frames of a journal".to_owned();
        return Err(PeerProblem::Malformed(what));
    };
    let answer = admitted.stream.receiver.take(JournalId(id), chunk).await;
    answer
        .map(|answer| json(&answer))
        .map_err(|ReceiveError(reason)| PeerProblem::NotTaken(reason))
}

/// Takes a client's request that another node relays.
async fn relay(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit_relayed(request).await?;
    let Some((head, body)) = relayed::split::<RelayedHead>(&admitted.body.bytes) else {
        return Err(PeerProblem::Malformed("not a relayed request".to_owned()));
    };
    let stream = &admitted.stream;
    let answered = match native::is_own(&head.target) {
        true => native::of_node(&context.ingest, stream, head, body).await,
        false => standard::of_node(&context.standard, stream, head, body).await,
    };
    let (head, body) = answered.map_err(|problem| PeerProblem::Malformed(problem.text().into()))?;
    Ok(typed(StatusCode::OK, BINARY, relayed::join(&head, &body)))
}

/// Takes records that another node received from clients that cannot be told
/// which of them were refused.
async fn deliver(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit_relayed(request).await?;
    let parts = relayed::split::<DeliveryHead>(&admitted.body.bytes);
    let parts = parts.and_then(|(head, frames)| Some((head, Chunk::from_frames(frames)?)));
    let Some((head, chunk)) = parts else {
        return Err(PeerProblem::Malformed("not records".to_owned()));
    };
    let wait = Duration::from_millis(head.wait_ms);
    let (producer, ingest) = (Producer::CannotBeTold, &context.ingest);
    let taken = ingest
        .take(&admitted.stream, producer, chunk.records, wait)
        .await;
    Ok(json(&match taken {
        Ok(settled) => DeliveryAnswer::Settled(refusals(&settled.rejected)),
        Err(problem) => {
            ingest.count(&admitted.stream, &problem);
            let text = problem.text().into_owned();
            match problem {
                Problem::Unknown(_) => DeliveryAnswer::Unknown(text),
                _ => DeliveryAnswer::NotTaken(text),
            }
        }
    }))
}

/// Starts a hand-over, and does not wait for its end.
async fn step_down(
    State(context): Context,
    request: Request<Body>,
) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let StepDownRequest { to, epoch } = admitted.document()?;
    let action = context.action(&admitted, "step down");
    let Some(begun) = admitted.stream.hand_over(epoch, to) else {
        action.failed(format!(
            "this node does not lead since epoch {epoch} or before"
        ));
        return Err(PeerProblem::NotLeader);
    };
    action.done(format!("epoch {}", begun.epoch));
    Ok(json(&StepDownAnswer::from(begun)))
}

/// Asks Consul for a node that does not reach it.
async fn assist(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let AssistRequest { stream, assistance } = admitted.document()?;
    let changes_lock = matches!(assistance.act, Act::Release { .. });
    let action = changes_lock.then(|| context.action(&admitted, "release the lock of a node"));
    let detail = format!("{stream}: {assistance:?}");
    let (answer, answered) = oneshot::channel();
    let request = AssistanceRequest {
        stream: stream.into(),
        assistance,
        answer,
    };
    let assistant = &admitted.stream.controls.assistant;
    // Without room, this node has enough to do; the other asks again.
    let is_sent = assistant.try_send(request).is_ok();
    let answered = tokio::time::timeout(ASSIST_LIMIT, answered);
    let done = is_sent && matches!(answered.await, Ok(Ok(true)));
    match action {
        Some(action) if done => action.done(detail),
        Some(action) => action.failed(detail),
        None => {}
    }
    Ok(json(&Assisted { done }))
}

/// Shows records as they pass, to the command line or for a client of another node.
async fn tail(State(context): Context, request: Request<Body>) -> Result<Response, PeerProblem> {
    let admitted = context.admit(request).await?;
    let request: TailRequest = admitted.document()?;
    if !request.follow && !matches!(*admitted.stream.route.borrow(), Route::Local(_)) {
        return Err(PeerProblem::NotLeader);
    }
    let answer = context.watched.answer(&admitted.stream, request, None);
    answer.map_err(PeerProblem::Body)
}

fn failed(error: &dyn std::error::Error) -> PeerProblem {
    PeerProblem::Failed(chain(error))
}
