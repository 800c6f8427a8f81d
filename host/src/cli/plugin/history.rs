//! `sluice plugin history`: shows which sinks went live, and which have failed.

use std::process::ExitCode;

use clap::Args;

use super::snapshot::short_digest;
use crate::cli::failure::Failure;
use crate::cli::{json, table};
use crate::plugin::history;
use sluice_consul::Client;
use sluice_types::documents::{HistoryDocument, PluginEvent};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin history
  sluice plugin history --json | jq -r 'last(.[] | select(.event == \"live\")).manifest'

Leaders keep the last 50 changes below <cluster>/history/.";

#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryArgs {
    /// Print JSON, with the manifests
    #[arg(long)]
    json: bool,

    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

impl HistoryArgs {
    pub(super) async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let history = history::read(client, &self.cluster).await?;
        if self.json {
            let entries = history.iter().map(|(_, entry)| entry);
            json::print(&entries.collect::<Vec<_>>())?;
        } else if history.is_empty() {
            println!("nothing has gone live yet");
        } else {
            print!("{}", table::align(&rows(&history)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(history: &[(u64, HistoryDocument)]) -> Vec<[String; 6]> {
    let mut rows = vec![["N", "AT", "EVENT", "SHA-256", "LEADER", "MANIFEST"].map(str::to_owned)];
    for (number, entry) in history {
        let event = match entry.event {
            PluginEvent::Live => "live",
            PluginEvent::Failed => "failed",
        };
        rows.push([
            number.to_string(),
            entry.at.clone(),
            event.to_owned(),
            short_digest(&entry.sha256).to_owned(),
            format!("{} ({})", entry.node, entry.epoch),
            entry.manifest.clone(),
        ]);
        if entry.event == PluginEvent::Failed {
            rows.push(["", &entry.reason, "", "", "", ""].map(str::to_owned));
        }
    }
    rows
}
