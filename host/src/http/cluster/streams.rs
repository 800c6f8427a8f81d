//! `GET /api/v1/cluster/streams`: all streams, with what waits and what is wrong on
//! which node.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;

use super::asking::{ask, split};
use super::context::{ClusterContext, ClusterShared, Member};
use super::own::StreamStatuses;
use super::problem::fresh_json;
use super::stream_rows::{StreamRow, StreamRows};
use crate::http::admin::StreamDocument;
use crate::peer::PeerClient;
use sluice_access::Scope;

/// How long a node may take to answer, and for how long the list is given again.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);
const FRESH: Duration = Duration::from_millis(400);

pub(super) async fn streams(
    State(shared): State<Arc<ClusterShared>>,
    request: Request<Body>,
) -> Response {
    let (head, _) = request.into_parts();
    let reader = match shared.check_reader(&head) {
        Ok(reader) => reader,
        Err(problem) => return problem.response(&head.headers),
    };
    let context = shared.of_default();
    let making = async { Arc::new(context.rows().await) };
    let all = shared.rows.or_make(FRESH, making).await;
    let Some(reader) = reader else {
        return fresh_json(&*all);
    };
    let mut streams = all.streams.clone();
    for row in &mut streams {
        if reader.may(Scope::Read, &row.document.name).is_err() {
            row.statuses.clear();
        }
    }
    fresh_json(&StreamRows {
        streams,
        errors: all.errors.clone(),
    })
}

impl ClusterContext {
    async fn rows(&self) -> StreamRows {
        let members = self.members();
        let own = std::future::ready(Ok(self.parts.own.streams()));
        let other = |client: Arc<PeerClient>, member: Member| async move {
            client.streams::<StreamStatuses>(member.target()).await
        };
        let answers = ask(self, &members, ANSWER_LIMIT, own, other).await;
        let (mut told, errors) = split(members, answers);
        let documents = self.documents();
        let all = self.parts.own.streams.all();
        let streams = all.iter().map(|stream| {
            let document = StreamDocument::of(self.node(), stream, &documents);
            let of_stream = |(_, told): &mut (String, StreamStatuses)| told.remove(&stream.name);
            StreamRow {
                statuses: told.iter_mut().filter_map(of_stream).collect(),
                document,
            }
            .corrected()
        });
        StreamRows {
            streams: streams.collect(),
            errors,
        }
    }
}
