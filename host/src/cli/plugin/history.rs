//! `sluice plugin history`: shows which sinks went live, and which have failed.

use std::process::ExitCode;

use clap::Args;

use super::desk::Desk;
use super::snapshot::short_digest;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::{json, table};
use crate::http::cluster::PluginView;
use crate::plugin::history;
use sluice_access::Scope;
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

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl HistoryArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let history = self.read().await?;
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

    /// The changes with their numbers, the oldest first.
    async fn read(&self) -> Result<Vec<(u64, HistoryDocument)>, Failure> {
        match Desk::open(&self.cluster).await? {
            Desk::Consul(client) => {
                Ok(history::read(&client, &self.cluster.of_stream().keys().history).await?)
            }
            Desk::Node(api) => {
                let view: PluginView = api.get("/api/v1/plugin", &[], Scope::Read).await?;
                let changes = view.history.into_iter();
                Ok(changes
                    .map(|change| (change.number, change.entry))
                    .collect())
            }
        }
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
