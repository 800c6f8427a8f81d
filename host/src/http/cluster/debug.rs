//! `GET /api/v1/debug`: the report of a node, which may be another one.

use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::asking::ask_other;
use super::context::{ClusterContext, InStream, Member};
use super::problem::{ClusterProblem, answered, fresh};
use super::query::Query;
use super::report::Reporter;
use crate::http::problem::Problem;
use crate::http::response::JSON;
use crate::peer::PeerClient;

/// How long another node may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a client may take to read a report, which is in memory until then.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// How much of it is handed on at a time.
const PART_BYTES: usize = 64 << 10;

/// A report that is read part by part, and the turn that it has meanwhile.
struct Reading {
    report: Bytes,
    _turn: OwnedSemaphorePermit,
    end: Instant,
}

pub(super) async fn debug(InStream(context): InStream, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let query = Query::of(head.uri.query());
    let wanted = query.get("node").unwrap_or(context.node());
    let body = context.debug(wanted).await;
    answered(body.map(|body| fresh(JSON, body)), &head)
}

impl ClusterContext {
    async fn debug(&self, node: &str) -> Result<Body, ClusterProblem> {
        let member = self.member(node)?;
        let reporter = &self.parts.reporter;
        let turn = reporter.turn().await.map_err(Problem::Busy)?;
        let report = match node == self.node() {
            true => reporter.report().await.map(Bytes::from),
            false => {
                let ask = |client: Arc<PeerClient>, member: Member| async move {
                    client.debug(member.target()).await
                };
                ask_other(self.client(), member, ANSWER_LIMIT, ask).await
            }
        };
        let report = report.map_err(|error| ClusterProblem::Elsewhere(format!("{node}: {error}")));
        Ok(body(report?, turn))
    }
}

impl Reporter {
    /// This node's report as the body of an answer.
    ///
    /// # Errors
    /// Others read one for too long, or it cannot be made.
    pub(in crate::http) async fn body(&self) -> Result<Body, String> {
        let turn = self.turn().await?;
        Ok(body(self.report().await?.into(), turn))
    }
}

fn body(report: Bytes, turn: OwnedSemaphorePermit) -> Body {
    let reading = Reading {
        report,
        _turn: turn,
        end: Instant::now() + READ_LIMIT,
    };
    Body::from_stream(stream::unfold(reading, |mut reading| async move {
        if reading.report.is_empty() {
            return None;
        }
        if Instant::now() > reading.end {
            let why = BoxError::from("the report was not read in time");
            reading.report.clear();
            return Some((Err(why), reading));
        }
        let length = reading.report.len().min(PART_BYTES);
        let part = reading.report.split_to(length);
        Some((Ok::<_, BoxError>(part), reading))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    #[tokio::test(start_paused = true)]
    async fn a_report_is_whole_and_has_its_turn_until_it_is_read() {
        let turns = Arc::new(Semaphore::new(1));
        let turn = || Arc::clone(&turns).try_acquire_owned().unwrap();
        let report = Bytes::from(vec![b'x'; 3 * PART_BYTES + 5]);
        let mut read = body(report.clone(), turn());
        assert_eq!(turns.available_permits(), 0);
        let first = read.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PART_BYTES);
        let rest = read.collect().await.unwrap().to_bytes();
        assert_eq!(first.len() + rest.len(), report.len());
        assert_eq!(turns.available_permits(), 1);

        let mut slow = body(report, turn());
        slow.frame().await.unwrap().unwrap();
        tokio::time::advance(READ_LIMIT + Duration::from_secs(1)).await;
        assert!(slow.frame().await.unwrap().is_err());
        assert!(slow.frame().await.is_none());
        drop(slow);
        assert_eq!(turns.available_permits(), 1);
    }
}
