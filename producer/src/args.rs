//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  sluice-producer                             Message: 1, Message: 2, … one each 5 s, for ever
  sluice-producer --interval 100ms --count 50
  sluice-producer bench --connections 32 --duration 10s

The leader is found through Consul, by its own variables (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, …).
The exit code is 0 if every message was acknowledged, else 1.";

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
    /// Send as fast as it goes, and report rate, latencies and outcomes
    Bench(BenchArgs),
}

/// Where messages go.
#[derive(Clone, Debug, Args)]
pub(crate) struct Destination {
    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    pub(crate) cluster: String,

    /// The key that names the leader [default: the cluster's name and /leader]
    #[arg(long, env = "SLUICE_LEADER_KEY")]
    pub(crate) leader_key: Option<String>,

    /// Send here instead of asking Consul; repeatable: on trouble the next one is tried
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) target: Vec<String>,

    /// The nodes speak HTTPS
    #[arg(long, env = "SLUICE_NODE_TLS")]
    pub(crate) tls: bool,

    /// A file with the token that the nodes want
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

    /// How many messages [default: no end]
    #[arg(long)]
    pub(crate) count: Option<u64>,

    /// The first number
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,

    /// How long one attempt may take
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) destination: Destination,

    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,

    /// How long
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Messages a request: more than one go to /api/v1/logs as lines
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,

    /// Send NDJSON instead: objects of five fields
    #[arg(long)]
    pub(crate) ndjson: bool,

    /// Bytes a message
    #[arg(long, default_value_t = 100)]
    pub(crate) size: usize,

    /// Messages a second over all connections [default: as fast as it goes]
    #[arg(long)]
    pub(crate) rate: Option<f64>,

    /// The first number
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,

    /// The most that one request may take
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Write each silence of 1 ms and more between two acknowledgements to this file: when it ended
    /// (Unix time) and how long it was, in ms
    #[arg(long, value_name = "FILE")]
    pub(crate) silences: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// Whether requests go to the route for many messages.
    pub(crate) const fn is_many(&self) -> bool {
        self.batch > 1 || self.ndjson
    }
}

/// Reads `200ms`, `5s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    match factor.zip(number.trim().parse::<f64>().ok()) {
        Some((factor, number)) if (0.0..=1e9).contains(&(factor * number)) => {
            Ok(Duration::from_secs_f64(factor * number))
        }
        _ => Err("expected a duration like 200ms, 5s or 2m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert!(duration("5").is_err());
    }
}
