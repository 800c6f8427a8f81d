//! `sluice plugin status`: shows what is asked for, what runs, and each node.

use std::process::ExitCode;

use clap::Args;

use super::snapshot::{Snapshot, Verdict, short_digest};
use crate::cli::cluster::plugin_key;
use crate::cli::failure::Failure;
use crate::cli::json;
use crate::cli::table;
use sluice_consul::Client;
use sluice_types::documents::ActiveDocument;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin status         what is asked for, what runs, and each node
  sluice plugin status --json

The exit code is 0 if the sink that is asked for runs, else 1.";

#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

impl StatusArgs {
    pub(super) async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let snapshot = Snapshot::read(client, &self.cluster).await?;
        if self.json {
            json::print(&snapshot.json())?;
        } else {
            print!("{}", text(&snapshot, &self.cluster));
        }
        Ok(match snapshot.verdict(snapshot.index()) {
            Verdict::Done => ExitCode::SUCCESS,
            Verdict::Failed | Verdict::InProgress => ExitCode::FAILURE,
        })
    }
}

fn text(snapshot: &Snapshot, cluster: &str) -> String {
    let asked = match &snapshot.asked {
        Some((_, asked)) => readable::source(asked),
        None => {
            let key = plugin_key(cluster);
            format!("nothing ({key} is empty: each node's --plugin)")
        }
    };
    let active = match &snapshot.active {
        Some((active, _)) => active_text(active),
        None => "no leader has run a sink yet".to_owned(),
    };
    let nodes = match snapshot.has_nodes() {
        true => "",
        false => "no node has reported yet; start one with: sluice node\n",
    };
    let table = table::align(&rows(snapshot));
    format!("asked for: {asked}\nactive:    {active}\n\n{table}{nodes}")
}

fn active_text(active: &ActiveDocument) -> String {
    let ActiveDocument {
        plugin,
        state,
        node,
        since,
        why,
        ..
    } = active;
    let (source, digest) = (&plugin.source, short_digest(&plugin.sha256));
    let phase = state.name();
    let line = format!("{source} {digest} {phase} on {node} since {since}");
    format!("{}\n           {why}", readable::source(&line))
}

fn rows(snapshot: &Snapshot) -> Vec<[String; 4]> {
    let mut rows = vec![["NODE", "STATE", "PLUGIN", "SHA-256"].map(str::to_owned)];
    for node in &snapshot.nodes {
        let sink = &node.sink;
        let state = match sink.index == snapshot.index() {
            true => sink.state.name(),
            false => "not seen yet",
        };
        let digest = short_digest(&sink.plugin.sha256);
        rows.push([&node.name, state, &sink.plugin.source, digest].map(str::to_owned));
        if let Some(error) = &node.error {
            rows.push(["", error, "", ""].map(str::to_owned));
        }
    }
    rows
}
