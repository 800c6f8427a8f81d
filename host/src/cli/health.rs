//! `sluice health`: for health checks where no HTTP client is available, as in
//! the container image.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use super::failure::Failure;
use super::http_client::http_client;
use super::reachable::reachable;
use super::runtime;
use crate::tls::PeerTls;

pub(super) const EXAMPLES: &str = "\
Example:
  sluice health --health-listen 127.0.0.1:3001

The exit code is 0 if the node is alive and its control loop runs, else 1. A node that waits for
Consul is healthy, because a restart would not help. A node that may hold the lock is unhealthy
while its Consul agent checks its health but has answered none of its requests for 5 s: the failed
check ends its session, so that another node can lead.";

/// Longer than a healthy node needs, shorter than most health checks wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The --health-listen address of the node
    #[arg(long, env = "SLUICE_HEALTH_LISTEN")]
    health_listen: SocketAddr,
}

#[derive(Debug, Error)]
enum HealthError {
    #[error("get an answer from the node on {address}")]
    NoAnswer {
        address: SocketAddr,
        #[source]
        cause: reqwest::Error,
    },
    #[error("find the node on {address} healthy: it answers {status}")]
    Unhealthy {
        address: SocketAddr,
        status: reqwest::StatusCode,
    },
}

pub(super) fn run(args: &HealthArgs) -> Result<ExitCode, Failure> {
    let address = reachable(args.health_listen);
    runtime::block_on(async {
        let http = http_client(&PeerTls::default(), ANSWER_TIMEOUT)?;
        let asked = http.get(format!("http://{address}/healthz")).send().await;
        let answer = asked.map_err(|cause| HealthError::NoAnswer { address, cause })?;
        match answer.status() {
            status if status.is_success() => Ok(ExitCode::SUCCESS),
            status => Err(HealthError::Unhealthy { address, status }.into()),
        }
    })
}
