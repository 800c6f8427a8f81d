//! `sluice coordinator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::log::{self, LogFormat};
use super::reachable::reachable;
use super::runtime;
use super::signals::until_signal;
use crate::descriptors::coordinator_connections;
use sluice_coordinator::{Coordinator, CoordinatorConfig};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice coordinator                            on the port where nodes expect Consul
  sluice coordinator --listen 127.0.0.1:8600    on another port; nodes then need its address:
  CONSUL_HTTP_ADDR=127.0.0.1:8600 sluice node
  consul kv put greeting hello                  the consul command works with it
  curl http://127.0.0.1:8500/v1/kv/greeting?raw

It replaces Consul on one machine, for development, tests and demonstrations. It supports no tokens,
no TLS and no second server. For more than one machine, run a Consul cluster.";

#[derive(Debug, Args)]
pub(super) struct CoordinatorArgs {
    /// Where to serve Consul's HTTP API
    #[arg(
        long,
        env = "SLUICE_COORDINATOR_LISTEN",
        default_value = "127.0.0.1:8500"
    )]
    listen: SocketAddr,

    /// Where keys are kept; sessions and services are not kept
    #[arg(
        long,
        env = "SLUICE_COORDINATOR_DATA_DIR",
        default_value = "data/coordinator"
    )]
    data_dir: PathBuf,

    /// A name by which clients reach the coordinator, besides localhost and any address; repeatable.
    /// Requests that name another host are refused
    #[arg(
        long = "host",
        env = "SLUICE_COORDINATOR_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    hosts: Vec<String>,

    /// The format of the log on stderr [default: text on a terminal, else json]
    #[arg(long, env = "SLUICE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// Runs a coordinator until a signal ends it.
pub(super) fn run(args: CoordinatorArgs) -> Result<ExitCode, Failure> {
    let _log = log::start(args.log_format)?;
    let runtime = runtime::single_threaded()?;
    let coordinator = Coordinator::start(&CoordinatorConfig {
        listen: args.listen,
        data_dir: args.data_dir,
        hosts: args.hosts,
        connections: coordinator_connections(),
    })?;
    let address = coordinator.address().to_string();
    tracing::info!(address, "coordinating");
    runtime.block_on(until_signal());
    tracing::info!("stopping");
    Ok(ExitCode::SUCCESS)
}

/// The address at which processes on this machine reach the coordinator.
pub(super) fn reached_at(coordinator: &Coordinator) -> SocketAddr {
    reachable(coordinator.address())
}
