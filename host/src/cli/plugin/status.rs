//! `sluice plugin status`: shows what is asked for, what runs, and each node.

use std::process::ExitCode;

use clap::Args;

use super::desk::Desk;
use super::snapshot::{Snapshot, Verdict, short_digest};
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::json;
use crate::cli::table;
use sluice_types::documents::{ActiveDocument, ProbationDocument};
use sluice_types::plugin::PluginPhase;
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

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl StatusArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.cluster).await?;
        let snapshot = Snapshot::read(&desk, self.cluster.of_stream()).await?;
        if self.json {
            json::print(&snapshot.json())?;
        } else {
            print!("{}", text(&snapshot, &desk.key(self.cluster.of_stream())));
        }
        Ok(match snapshot.verdict(snapshot.index()) {
            Verdict::Done => ExitCode::SUCCESS,
            Verdict::Failed | Verdict::InProgress => ExitCode::FAILURE,
        })
    }
}

fn text(snapshot: &Snapshot, key: &str) -> String {
    let asked = match &snapshot.asked {
        Some((_, asked)) => readable::source(asked),
        None => format!("nothing ({key} is empty: each node's --plugin)"),
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
        probation,
        waits_for,
        ..
    } = active;
    let (source, digest) = (&plugin.source, short_digest(&plugin.sha256));
    let phase = state.name();
    let line = format!("{source} {digest} {phase} on {node} since {since}");
    let mut text = format!("{}\n           {why}", readable::source(&line));
    if let Some(ProbationDocument { seconds, .. }) = probation {
        text += &format!("\n           on probation for {seconds} s");
    }
    if !waits_for.is_empty() {
        let nodes = readable::source(&waits_for.join(", "));
        text += &format!("\n           waits for: {nodes}");
    }
    text
}

fn rows(snapshot: &Snapshot) -> Vec<[String; 5]> {
    let head = ["NODE", "DESIRED", "PREPARED", "ACTIVE", "SINCE"];
    let mut rows = vec![head.map(str::to_owned)];
    for node in &snapshot.nodes {
        let sink = &node.sink;
        let is_seen = sink.index == snapshot.index();
        let desired = match (is_seen, &sink.desired.source) {
            (false, _) => "not seen yet",
            (true, None) => "-",
            (true, Some(source)) => source,
        };
        let digest = short_digest(&sink.plugin.sha256);
        let prepared = match sink.state {
            PluginPhase::Preparing => "preparing",
            _ if is_seen && sink.plugin_index == sink.index => digest,
            _ => "-",
        };
        let active = match (snapshot.runs_on(&node.name), sink.state) {
            (Some(digest), _) => digest,
            (None, phase @ (PluginPhase::Opening | PluginPhase::Failed)) => phase.name(),
            (None, _) => "-",
        };
        rows.push([&node.name, desired, prepared, active, &sink.since].map(str::to_owned));
        if let Some(error) = &node.error {
            rows.push(["", error, "", "", ""].map(str::to_owned));
        }
    }
    rows
}
