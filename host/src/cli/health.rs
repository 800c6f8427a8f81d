//! `sluice health`: for health checks where there is no HTTP client at hand,
//! as in the image.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use super::Failure;

pub(super) const EXAMPLES: &str = "\
Example:
  sluice health --health-listen 127.0.0.1:3001

The exit code is 0 if the node lives and its control loop turns, else 1. It says nothing of Consul:
a node waits for a Consul that is away, and restarting it would not help.";

/// Longer than an idle node ever needs, shorter than a health check waits.
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The address that the node was given as its --health-listen
    #[arg(long, env = "SLUICE_HEALTH_LISTEN")]
    health_listen: SocketAddr,
}

#[derive(Debug, Error)]
enum HealthError {
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("hear from the node on {address}")]
    Silent {
        address: SocketAddr,
        #[source]
        cause: reqwest::Error,
    },
    #[error("find the node on {address} well: it answers {status}")]
    Ill {
        address: SocketAddr,
        status: reqwest::StatusCode,
    },
}

pub(super) fn run(args: &HealthArgs) -> Result<ExitCode, Failure> {
    let address = reachable(args.health_listen);
    super::on_runtime(async {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER);
        let http = http.build().map_err(HealthError::Http)?;
        let asked = http.get(format!("http://{address}/healthz")).send().await;
        let answer = asked.map_err(|cause| HealthError::Silent { address, cause })?;
        match answer.status() {
            status if status.is_success() => Ok(ExitCode::SUCCESS),
            status => Err(HealthError::Ill { address, status }.into()),
        }
    })
}

/// Who listens everywhere is asked here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(listen) if listen.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(listen) if listen.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        listen => listen.ip(),
    };
    SocketAddr::new(ip, listen.port())
}
