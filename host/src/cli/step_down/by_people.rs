//! By the routes for people, with a token.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::args::StepDownArgs;
use super::error::StepDownError;
use super::report::{TAKE_OVER_TIMEOUT, report};
use crate::cli::api::{ApiClient, ApiError};
use crate::cli::failure::Failure;
use crate::http::admin::Status;
use crate::http::cluster::Overview;
use crate::peer::wire::{StepDownAnswer, StepDownRequest};
use sluice_access::Scope;
use sluice_types::error_chain::chain;

/// A node asks the others for each overview, but not more often than every 400 ms.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Asks a node to let the leader step down, and waits until another one leads.
///
/// # Errors
/// The node does not do it, or no other one leads in time.
pub(super) async fn step_down(args: &StepDownArgs, api: &ApiClient) -> Result<ExitCode, Failure> {
    let status: Status = api.get("/api/v1/status", &[], Scope::Read).await?;
    let none = || StepDownError::no_leader(&args.cluster);
    let before = status.leader.ok_or_else(none)?.node;
    let request = StepDownRequest {
        to: args.to.clone(),
        epoch: status.epoch,
    };
    let started = Instant::now();
    let asked: StepDownAnswer = api.post("/api/v1/step-down", &request).await?;
    let waited = Duration::from_millis(asked.drain_ms) + TAKE_OVER_TIMEOUT;
    let next = next_leader(api, asked.epoch, started + waited).await;
    let (node, epoch) = next.map_err(|seen| StepDownError::NoLeaderInTime { waited, seen })?;
    report(args, &before, (&node, epoch), started)
}

/// Waits for a leader with a later epoch. The error says what was seen last.
async fn next_leader(
    api: &ApiClient,
    epoch: u64,
    deadline: Instant,
) -> Result<(String, u64), String> {
    let mut may_read = true;
    loop {
        let seen = match leader(api, &mut may_read).await {
            Ok(Some((node, later))) if later > epoch => return Ok((node, later)),
            Ok(Some((node, same))) => format!("{node} leads under epoch {same}"),
            Ok(None) => "no node leads".to_owned(),
            Err(error) => chain(&error),
        };
        if Instant::now() > deadline {
            return Err(seen);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The node that serves as the leader, with its epoch. A client that may not read is
/// told by the node itself, which sees the leader before it serves.
async fn leader(api: &ApiClient, may_read: &mut bool) -> Result<Option<(String, u64)>, ApiError> {
    if *may_read {
        match api
            .get::<Overview>("/api/v1/cluster", &[], Scope::Read)
            .await
        {
            Ok(seen) => {
                let statuses = seen.nodes.into_iter().filter_map(|row| row.status);
                let leading =
                    statuses.filter_map(|status| Some((status.leads_under()?, status.node)));
                return Ok(leading.max().map(|(epoch, node)| (node, epoch)));
            }
            Err(error) if error.is_denied() => *may_read = false,
            Err(error) => return Err(error),
        }
    }
    let status: Status = api.get("/api/v1/status", &[], Scope::Read).await?;
    Ok(status.leader.map(|leader| (leader.node, status.epoch)))
}
