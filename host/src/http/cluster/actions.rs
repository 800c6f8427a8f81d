//! What the page can do: replay and purge dead letters, roll the plugin back, and
//! let the leader step down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::action_documents::{
    Choice, Chosen, LETTERS_MAX, Purged, REASONS_MAX, Rejection, Replayed, RollBack, RolledBack,
};
use super::asking::ask_other;
use super::context::{ClusterContext, InStream, Member};
use super::problem::{ClusterProblem, answered, fresh_json};
use super::shown::shown;
use crate::http::admin::Status;
use crate::http::problem::Problem;
use crate::http::response::JSON;
use crate::peer::wire::{StepDownAnswer, StepDownRequest};
use crate::peer::{PeerClient, PeerError, check_successor};
use crate::plugin::{Manifest, keep_pin};
use sluice_delivery::Letter;
use sluice_types::documents::LeaderAddress;

/// The most bytes of the body of an action, and how long it may take to arrive.
const BODY_MAX: usize = 256 << 10;
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// The most records that are sent to the leader at once: not more than its answer
/// lists if all of them are rejected.
const RECORDS_MAX: usize = 500;
/// How long a node may take to do its part, and an action in all.
/// A request over HTTP/2 may take 30 s.
const NODE_LIMIT: Duration = Duration::from_secs(10);
const ACTION_LIMIT: Duration = Duration::from_secs(25);

type Context = InStream;

pub(super) async fn replay(InStream(context): Context, request: Request<Body>) -> Response {
    let acting = |context: Arc<ClusterContext>, chosen: Chosen| async move {
        context.replay(chosen.by_node()?).await
    };
    let detail = |replayed: &Replayed| replayed.confirmed.to_string();
    act(&context, request, "replay dead letters", acting, detail).await
}

pub(super) async fn purge(InStream(context): Context, request: Request<Body>) -> Response {
    let acting = |context: Arc<ClusterContext>, chosen: Chosen| async move {
        context.purge(chosen.by_node()?).await
    };
    let detail = |purged: &Purged| purged.removed.to_string();
    act(&context, request, "purge dead letters", acting, detail).await
}

pub(super) async fn roll_back(InStream(context): Context, request: Request<Body>) -> Response {
    let acting =
        |context: Arc<ClusterContext>, wanted| async move { context.roll_back(wanted).await };
    let detail = |_: &RolledBack| String::new();
    act(&context, request, "roll the plugin back", acting, detail).await
}

pub(super) async fn step_down(InStream(context): Context, request: Request<Body>) -> Response {
    let acting =
        |context: Arc<ClusterContext>, wanted| async move { context.step_down(wanted).await };
    let detail = |down: &StepDownAnswer| format!("epoch {}", down.epoch);
    act(&context, request, "step down", acting, detail).await
}

/// Does what an administrator asks for, which may not take for ever and goes on if the
/// client goes, and writes what came of it to the audit log: `detail` says how much was
/// done.
async fn act<W: DeserializeOwned, T: Serialize + Send + 'static, Acting>(
    context: &Arc<ClusterContext>,
    request: Request<Body>,
    what: &str,
    acting: impl FnOnce(Arc<ClusterContext>, W) -> Acting,
    detail: impl FnOnce(&T) -> String + Send + 'static,
) -> Response
where
    Acting: Future<Output = Result<T, ClusterProblem>> + Send + 'static,
{
    let (head, body) = request.into_parts();
    let action = match context.check_admin(&head, what) {
        Ok(action) => action,
        Err(problem) => return problem.response(&head.headers),
    };
    let wanted = match document(&head.headers, body).await {
        Ok(wanted) => wanted,
        Err(problem) => {
            action.failed(problem.text().into_owned());
            return problem.response(&head.headers);
        }
    };
    let acting = timeout(ACTION_LIMIT, acting(Arc::clone(context), wanted));
    let running = context.shared.running.run(async move {
        let acted = acting.await.unwrap_or_else(|_| {
            let why = "it takes too long; what was done until now is done";
            Err(ClusterProblem::Elsewhere(why.to_owned()))
        });
        match &acted {
            Ok(done) => action.done(detail(done)),
            Err(problem) => action.failed(problem.text().into_owned()),
        }
        acted
    });
    let acted = running.await.unwrap_or_else(|problem| Err(problem.into()));
    answered(acted.map(|done| fresh_json(&done)), &head)
}

/// The body of an action. It must be called JSON, which no form of a web page sends.
async fn document<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|content_type| content_type.to_str().ok());
    let media_type = content_type.and_then(|content_type| content_type.split(';').next());
    if media_type.map(str::trim) != Some(JSON) {
        let what = format!("send a JSON document, with Content-Type: {JSON}");
        return Err(Problem::Unsupported(what));
    }
    let read = timeout(BODY_LIMIT, axum::body::to_bytes(body, BODY_MAX)).await;
    let read = read.map_err(|_| Problem::SlowBody)?;
    let too_large = |_| Problem::TooLarge(format!("the body has more than {BODY_MAX} bytes"));
    let bytes = read.map_err(too_large)?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::Malformed(error.to_string()))
}

impl Chosen {
    /// The ids of the letters by their nodes.
    fn by_node(self) -> Result<BTreeMap<String, Vec<String>>, ClusterProblem> {
        let letters = self.letters;
        if letters.is_empty() || letters.len() > LETTERS_MAX {
            let what = format!("choose 1 to {LETTERS_MAX} dead letters at once");
            return Err(Problem::Malformed(what).into());
        }
        let mut by_node: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Choice { node, id } in letters {
            by_node.entry(node).or_default().push(id);
        }
        Ok(by_node)
    }
}

impl ClusterContext {
    async fn replay(
        &self,
        chosen: BTreeMap<String, Vec<String>>,
    ) -> Result<Replayed, ClusterProblem> {
        let mut replayed = Replayed::default();
        for (node, ids) in chosen {
            let mut left = ids.as_slice();
            while !left.is_empty() {
                let part = left.get(..RECORDS_MAX).unwrap_or(left);
                let read = self.read_letters(&node, part.to_vec()).await?;
                let (looked_at, rest) = left.split_at(read.looked_at.clamp(1, part.len()));
                replayed.missing += looked_at.len().saturating_sub(read.letters.len());
                self.replay_part(&node, read.letters, &mut replayed).await?;
                left = rest;
            }
        }
        Ok(replayed)
    }

    /// Sends the records of a node's letters to the leader, and removes the letters
    /// of those that it confirms.
    async fn replay_part(
        &self,
        node: &str,
        letters: Vec<Letter>,
        replayed: &mut Replayed,
    ) -> Result<(), ClusterProblem> {
        if letters.is_empty() {
            return Ok(());
        }
        let records: Vec<_> = letters.iter().map(|letter| &letter.record).collect();
        let send = |client: Arc<PeerClient>, leader: Member| async move {
            client.records(leader.target(), &records).await
        };
        let taken = self.ask_node(self.leader()?, send).await?;
        let mut confirmed = Vec::new();
        for (index, letter) in letters.into_iter().enumerate() {
            match taken
                .rejected
                .iter()
                .find(|rejected| rejected.index == index)
            {
                None => confirmed.push(letter.id),
                Some(rejected) => {
                    replayed.rejected_total += 1;
                    if replayed.rejected.len() < REASONS_MAX {
                        replayed.rejected.push(Rejection {
                            id: letter.id,
                            reason: rejected.reason.clone(),
                        });
                    }
                }
            }
        }
        self.remove(node, &confirmed).await?;
        replayed.confirmed += confirmed.len();
        Ok(())
    }

    async fn purge(&self, chosen: BTreeMap<String, Vec<String>>) -> Result<Purged, ClusterProblem> {
        let mut removed = 0;
        for (node, ids) in chosen {
            removed += self.remove(&node, &ids).await?;
        }
        Ok(Purged { removed })
    }

    async fn remove(&self, node: &str, ids: &[String]) -> Result<u64, ClusterProblem> {
        if ids.is_empty() {
            return Ok(0);
        }
        if node == self.node() {
            let removed = self.stream.letters.remove(ids.to_vec()).await;
            return removed.map_err(|error| ClusterProblem::Elsewhere(shown(&error)));
        }
        let remove = |client: Arc<PeerClient>, member: Member| async move {
            client.remove(member.target(), ids).await
        };
        self.ask_node(self.member(node)?, remove).await
    }

    async fn roll_back(&self, wanted: RollBack) -> Result<RolledBack, ClusterProblem> {
        let view = self.plugin().await?;
        let changed = || {
            let what = "the plugin has changed meanwhile; look again, then roll back";
            ClusterProblem::Conflict(what.to_owned())
        };
        let index = view.asked.as_ref().map_or(0, |asked| asked.index);
        let rollback = view.rollback.filter(|_| index == wanted.index);
        let rollback = rollback.filter(|found| found.manifest == wanted.manifest);
        let manifest: Manifest = rollback
            .and_then(|found| found.manifest.parse().ok())
            .ok_or_else(changed)?;
        let asked = view.asked.map(|asked| asked.manifest).unwrap_or_default();
        let manifest = keep_pin(&manifest, asked.as_bytes());
        let (key, value) = (self.keys().plugin, manifest.clone().into_bytes());
        let written = self.parts.consul.check_and_set(&key, index, value).await;
        let written = written.map_err(|error| ClusterProblem::Elsewhere(shown(&error)))?;
        match written {
            true => Ok(RolledBack { manifest }),
            false => Err(changed()),
        }
    }

    async fn step_down(&self, wanted: StepDownRequest) -> Result<StepDownAnswer, ClusterProblem> {
        let leader = self.leader()?;
        let documents = self.documents_of_stream();
        let checked = check_successor(wanted.to.as_deref(), &leader.node, &documents);
        checked.map_err(|error| ClusterProblem::Conflict(shown(&error)))?;
        if leader.node == self.node() {
            let begun = self.stream.hand_over(wanted.epoch, wanted.to);
            let other = || ClusterProblem::Conflict("another node leads now".to_owned());
            return Ok(begun.ok_or_else(other)?.into());
        }
        let ask = |client: Arc<PeerClient>, leader: Member| async move {
            client.step_down(leader.target(), &wanted).await
        };
        self.ask_node(leader, ask).await
    }

    /// The leader, as this node knows it.
    fn leader(&self) -> Result<Member, ClusterProblem> {
        let leader = Status::of(self.node(), &self.stream).leader;
        let none = || ClusterProblem::Conflict("no node leads at the moment".to_owned());
        let LeaderAddress { node, address } = leader.ok_or_else(none)?;
        // The lock's key may hold a bare host, without the node's name.
        let name = self.parts.controls.peers.name_at(&address);
        Ok(Member {
            node: name.unwrap_or(node),
            address,
        })
    }

    /// Asks a node, which may be this one, by its routes for peers.
    async fn ask_node<T, Answer>(
        &self,
        member: Member,
        ask: impl FnOnce(Arc<PeerClient>, Member) -> Answer,
    ) -> Result<T, ClusterProblem>
    where
        Answer: Future<Output = Result<T, PeerError>>,
    {
        let node = member.node.clone();
        let answer = ask_other(self.client(), member, NODE_LIMIT, ask).await;
        answer.map_err(|error| ClusterProblem::Elsewhere(format!("{node}: {error}")))
    }
}
