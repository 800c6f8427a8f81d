//! `GET /api/v1/dead-letters`, one of them, and `GET /api/v1/rejects`, of all
//! nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::asking::{ask, ask_other, split};
use super::context::{ClusterContext, InStream, Member};
use super::left_out::LeftOut;
use super::problem::{ClusterProblem, answered, fresh_json};
use super::query::Query;
use super::record_view::LetterView;
use crate::peer::PeerClient;
use crate::peer::letters::{LetterHead, LetterPage, LetterQuery, ReadLetters};
use crate::rejects::Reject;
use sluice_delivery::Letter;

/// How long a node may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);
/// How many letters or rejects are listed unless the query says it, and at most.
const LISTED: usize = 100;
pub(crate) const LISTED_MAX: usize = 500;

/// Dead letters of all nodes.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LetterList {
    /// The latest first.
    pub(crate) letters: Vec<FoundLetter>,
    /// Whether there are more, or may be.
    pub(crate) more: bool,
    pub(crate) errors: Vec<LeftOut>,
}

/// A dead letter, and the node that has it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct FoundLetter {
    pub(crate) node: String,
    #[serde(flatten)]
    pub(crate) letter: LetterHead,
}

/// Rejects of all nodes.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RejectList {
    /// The latest first.
    pub(crate) rejects: Vec<FoundReject>,
    pub(crate) errors: Vec<LeftOut>,
}

/// A reject, and the node that has it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct FoundReject {
    pub(crate) node: String,
    #[serde(flatten)]
    pub(crate) reject: Reject,
}

pub(super) async fn list(InStream(context): InStream, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let asked = Query::of(head.uri.query());
    let text = |name| asked.get(name).map(str::to_owned);
    let query = LetterQuery {
        plugin: text("plugin"),
        reason: text("reason"),
        text: text("text"),
        since: text("since"),
        before: text("before").map(|time| (time, text("before_id").unwrap_or_default())),
        limit: asked.number("limit", LISTED, LISTED_MAX),
    };
    fresh_json(&context.letters(query, asked.get("node")).await)
}

pub(super) async fn show(
    InStream(context): InStream,
    Path((node, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (head, _) = request.into_parts();
    let found = context.letter(&node, id).await;
    answered(
        found.map(|letter| fresh_json(&LetterView::from(letter))),
        &head,
    )
}

pub(super) async fn rejects(InStream(context): InStream, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let limit = Query::of(head.uri.query()).number("limit", LISTED, LISTED_MAX);
    fresh_json(&context.rejects(limit).await)
}

impl ClusterContext {
    async fn letters(&self, query: LetterQuery, node: Option<&str>) -> LetterList {
        let mut members = self.members();
        members.retain(|member| node.is_none_or(|node| member.node == node));
        let own = self.parts.own.find_letters(&self.stream, query.clone());
        let other = |client: Arc<PeerClient>, member: Member| {
            let query = query.clone();
            async move { client.find_letters(member.target(), &query).await }
        };
        let answers = ask(self, &members, ANSWER_LIMIT, own, other).await;
        let (pages, errors) = split(members, answers);
        let more = pages.iter().any(|(_, page)| page.more);
        let found = pages
            .into_iter()
            .flat_map(|(node, LetterPage { letters, .. })| {
                let letters = letters.into_iter();
                letters.map(move |letter| FoundLetter {
                    node: node.clone(),
                    letter,
                })
            });
        let mut letters: Vec<_> = found.collect();
        letters.sort_by(|one, other| other.letter.place().cmp(&one.letter.place()));
        let more = more || letters.len() > query.limit;
        letters.truncate(query.limit);
        LetterList {
            letters,
            more,
            errors,
        }
    }

    async fn rejects(&self, limit: usize) -> RejectList {
        let members = self.members();
        let own = std::future::ready(Ok(self.stream.rejects.list()));
        let other = |client: Arc<PeerClient>, member: Member| async move {
            client.rejects(member.target()).await
        };
        let answers = ask(self, &members, ANSWER_LIMIT, own, other).await;
        let (lists, errors) = split(members, answers);
        let found = lists.into_iter().flat_map(|(node, rejects)| {
            let rejects = rejects.into_iter();
            rejects.map(move |reject| FoundReject {
                node: node.clone(),
                reject,
            })
        });
        let mut rejects: Vec<_> = found.collect();
        rejects.sort_by(|one, other| other.reject.time.cmp(&one.reject.time));
        rejects.truncate(limit);
        RejectList { rejects, errors }
    }

    async fn letter(&self, node: &str, id: String) -> Result<Letter, ClusterProblem> {
        let missing = ClusterProblem::Missing(format!("{node:.100} has no dead letter {id:.100}"));
        let read = self.read_letters(node, vec![id]).await?;
        read.letters.into_iter().next().ok_or(missing)
    }

    /// The letters of a node with these ids, as many of them as fit.
    pub(super) async fn read_letters(
        &self,
        node: &str,
        ids: Vec<String>,
    ) -> Result<ReadLetters, ClusterProblem> {
        let member = self.member(node)?;
        if member.node == self.node() {
            let read = self.parts.own.read_letters(&self.stream, ids).await;
            return read.map_err(ClusterProblem::Elsewhere);
        }
        let ask = |client: Arc<PeerClient>, member: Member| async move {
            client.read_letters(member.target(), &ids).await
        };
        let read = ask_other(self.client(), member, ANSWER_LIMIT, ask).await;
        read.map_err(|error| ClusterProblem::Elsewhere(format!("{node}: {error}")))
    }

    /// The node with this name.
    pub(super) fn member(&self, node: &str) -> Result<Member, ClusterProblem> {
        let mut members = self.members().into_iter();
        let found = members.find(|member| member.node == node);
        found.ok_or_else(|| ClusterProblem::Missing(format!("there is no node {node:.100}")))
    }
}
