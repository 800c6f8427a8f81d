//! `sluice status`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::json;
use super::overview::{NodeRow, Overview, Source};
use super::runtime;
use crate::http::admin::{StallStatus, Status};
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice status                      a table of the nodes
  sluice status --json | jq .leader  the same as JSON
  sluice status --watch              repeat every second
  sluice status --url https://node-a:3000 --token-file token    without access to Consul

The exit code is 0 if there is a leader that may acknowledge, else 1.";

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Repeat every second until interrupted
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        let source = Source::open(&args.cluster).await?;
        loop {
            let overview = source.overview(&args.cluster).await?;
            if args.json {
                json::print(&overview)?;
            } else {
                print!("{}", table(&overview));
            }
            if !args.watch {
                let leads = |row: &NodeRow| row.status.as_ref().is_some_and(|s| s.role == "leader");
                let ok = overview.nodes.iter().any(leads);
                return Ok(if ok {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

/// What is wrong with a node.
pub(super) fn notes(error: Option<&String>, status: Option<&Status>) -> Vec<String> {
    let plugin = status.and_then(|status| status.plugin.error.clone());
    let stall = status.and_then(|status| status.delivery.stalled.as_ref());
    let stalled = stall.map(StallStatus::to_string);
    [error.cloned(), plugin, stalled]
        .into_iter()
        .flatten()
        .collect()
}

fn table(overview: &Overview) -> String {
    let mut rows = vec![
        [
            "NODE",
            "ADDRESS",
            "ROLE",
            "EPOCH",
            "PLUGIN",
            "STATE",
            "QUEUE",
            "ACKNOWLEDGED",
        ]
        .map(str::to_owned),
    ];
    for NodeRow {
        node,
        address,
        status,
        error,
    } in &overview.nodes
    {
        let mut row = [node.as_str(), address, "?", "", "", "", "", ""].map(str::to_owned);
        if let (Some(status), [_, _, role, epoch, plugin, state, queue, acknowledged]) =
            (status, &mut row)
        {
            role.clone_from(&status.role);
            *epoch = status.epoch.to_string();
            plugin.clone_from(&status.plugin.active.name.source);
            *state = status.plugin.active.state.name().to_owned();
            *queue = status.queue.records.to_string();
            *acknowledged = status.counters.acknowledged.to_string();
        }
        rows.push(row);
        for note in notes(error.as_ref(), status.as_deref()) {
            rows.push(["", &note, "", "", "", "", "", ""].map(str::to_owned));
        }
    }
    let mut text = match &overview.leader {
        Some(leader) => format!(
            "cluster {}: {} leads at {}, epoch {}\n\n",
            overview.cluster,
            readable::source(&leader.node),
            readable::source(&leader.address),
            overview.epoch
        ),
        None => format!(
            "cluster {}: no leader, epoch {}\n\n",
            overview.cluster, overview.epoch
        ),
    };
    text.push_str(&super::table::align(&rows));
    if overview.nodes.is_empty() {
        text.push_str("no node is registered; start one with: sluice node\n");
    }
    text
}
