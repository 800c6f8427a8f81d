//! `sluice plugin history`: shows which sinks went live, and which have failed.

use std::process::ExitCode;

use clap::Args;

use super::snapshot::short_digest;
use crate::cli::failure::Failure;
use crate::cli::{json, table};
use sluice_consul::Client;
use sluice_types::documents::{HistoryDocument, PluginEvent};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::DEFAULT_STREAM;

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
        let history = read(client, &self.cluster).await?;
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

/// The changes with their numbers, the oldest first.
///
/// # Errors
/// Consul gives no usable answer.
pub(super) async fn read(
    client: &Client,
    cluster: &str,
) -> Result<Vec<(u64, HistoryDocument)>, Failure> {
    let prefix = ClusterKeys::new(cluster).stream(DEFAULT_STREAM).history;
    let entries = client.list(&prefix, None).await?.value;
    let entries = entries.iter().filter_map(|entry| {
        let number = entry.key.strip_prefix(&prefix)?.parse().ok()?;
        Some((number, serde_json::from_slice(&entry.value).ok()?))
    });
    let mut history: Vec<_> = entries.collect();
    history.sort_by_key(|(number, _)| *number);
    Ok(history)
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
