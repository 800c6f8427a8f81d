//! The flags of `sluice demo` and their defaults.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::cli::units;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice demo                            three nodes on the ports 3000 to 3002, until Ctrl-C
  sluice demo --nodes 5 --interval 200ms
  sluice demo --for 30s                  ends by itself, for scripts
  sluice demo --port 4000 --coordinator 127.0.0.1:8600

It shows what to try next. It keeps everything in a temporary folder, which it removes at the end.
The exit code is 0 if every message was acknowledged and is in an output, 1 if not, 130 after a
second Ctrl-C.";

pub(super) const DEFAULT_NODES: &str = "3";
pub(super) const DEFAULT_INTERVAL: &str = "1s";
pub(super) const DEFAULT_PORT: &str = "3000";
pub(super) const DEFAULT_COORDINATOR: &str = "127.0.0.1:8500";

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DemoArgs {
    /// The number of nodes (1 to 9)
    #[arg(long, env = "SLUICE_DEMO_NODES", default_value = DEFAULT_NODES)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(super) nodes: u16,

    /// The time between messages
    #[arg(long, env = "SLUICE_DEMO_INTERVAL", default_value = DEFAULT_INTERVAL)]
    #[arg(value_parser = units::duration)]
    pub(super) interval: Duration,

    /// The port of the first node; the others use the next ones
    #[arg(long, env = "SLUICE_DEMO_PORT", default_value = DEFAULT_PORT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// Where the embedded coordinator serves Consul's HTTP API
    #[arg(long, env = "SLUICE_DEMO_COORDINATOR", value_name = "ADDR")]
    #[arg(default_value = DEFAULT_COORDINATOR)]
    pub(super) coordinator: SocketAddr,

    /// Stop after this time [default: at Ctrl-C]
    #[arg(long = "for", env = "SLUICE_DEMO_FOR", value_name = "DURATION")]
    #[arg(value_parser = units::duration)]
    pub(super) time: Option<Duration>,
}
