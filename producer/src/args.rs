//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::fmt::friendly::SpanParser;

/// The longest duration of a flag, about 31 years: sums of durations and times
/// then never overflow.
const MAX_DURATION: Duration = Duration::from_secs(1_000_000_000);

const EXAMPLES: &str = "\
Examples:
  sluice-producer                             Message: 1, Message: 2, … every 5 s, forever
  sluice-producer --interval 100ms --count 50
  sluice-producer bench --connections 32 --duration 10s

The leader is found through Consul, which its own variables configure (CONSUL_HTTP_ADDR,
CONSUL_HTTP_TOKEN, …). The exit code is 0 if every message was acknowledged, otherwise 1.";

/// Posts numbered messages to the leader of a Sluice cluster.
#[derive(Debug, Parser)]
#[command(name = "sluice-producer", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) numbered: NumberedArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send as fast as possible, and report rate, latencies and outcomes
    Bench(BenchArgs),
}

/// Where messages go, and what is recorded about them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Destination {
    /// The name of the cluster
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    pub(crate) cluster: String,

    #[arg(
        long,
        env = "SLUICE_LEADER_KEY",
        help = "The key that names the leader [default: <cluster>/leader]"
    )]
    pub(crate) leader_key: Option<String>,

    /// Send here instead of asking Consul; repeatable: after a failure the next one is tried
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) target: Vec<String>,

    /// Send by HTTPS
    #[arg(long, env = "SLUICE_NODE_TLS")]
    pub(crate) tls: bool,

    /// A file with the token that the nodes require
    #[arg(long, env = "SLUICE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Append the number of each acknowledged message to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NumberedArgs {
    #[command(flatten)]
    pub(crate) destination: Destination,

    /// The time between messages
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(crate) interval: Duration,

    /// How many messages to send [default: unlimited]
    #[arg(long)]
    pub(crate) count: Option<u64>,

    /// The first number
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,

    /// The longest time for one attempt
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) destination: Destination,

    /// How many connections, each with one request at a time
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,

    /// How long to send
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Messages per request; more than one go to /api/v1/logs as lines
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,

    /// Send NDJSON instead of text: objects of five fields
    #[arg(long)]
    pub(crate) ndjson: bool,

    /// Bytes per message
    #[arg(long, default_value_t = 100)]
    pub(crate) size: usize,

    /// Messages per second over all connections [default: as fast as possible]
    #[arg(long)]
    pub(crate) rate: Option<f64>,

    /// The first number
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,

    /// The longest time for one request
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Write each silence of at least 1 ms between two acknowledgements to this file: its end (Unix
    /// time) and its length, both in ms
    #[arg(long, value_name = "FILE")]
    pub(crate) silences: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// Whether requests go to the route for many messages.
    pub(crate) const fn is_many(&self) -> bool {
        self.batch > 1 || self.ndjson
    }
}

/// Parses a duration with a unit, such as `200ms`, `5s` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    SpanParser::new()
        .parse_unsigned_duration(text.trim())
        .ok()
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| "expected a duration like 200ms, 5s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_needs_a_unit() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["5", "-1s", "x", ""] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
