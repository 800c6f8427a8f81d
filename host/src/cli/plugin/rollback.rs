//! `sluice plugin rollback`: asks for what was live before.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::change::Change;
use super::error::PluginCommandError;
use super::history;
use crate::cli::cluster::plugin_key;
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::plugin::Manifest;
use sluice_consul::Client;
use sluice_types::documents::HistoryDocument;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin rollback --wait
  sluice plugin rollback --yes       for scripts

It writes <cluster>/plugin with the manifest that was live before the one that the key asks for
now, as `sluice plugin history` shows them. Twice in a row leads back.
The exit code is 0 if the manifest was written and, with --wait, every node has adopted it.";

#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Wait until every node has adopted it
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, default_value = "60s", value_parser = units::duration)]
    timeout: Duration,

    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

impl RollbackArgs {
    pub(super) async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let key = plugin_key(&self.cluster);
        let asked = client.read(&key, None).await?.value;
        let asked = asked.map(|entry| entry.value).unwrap_or_default();
        let asked = Manifest::from_value(&asked).ok().flatten();
        let history = history::read(client, &self.cluster).await?;
        let entries = history.into_iter().map(|(_, entry)| entry);
        let (before, manifest) = before(entries.collect(), asked.as_ref())
            .ok_or_else(|| PluginCommandError::NothingBefore(self.cluster.clone()))?;
        let line = format!("{} was live since {}", manifest, before.at);
        println!("{}", readable::source(&line));
        let change = Change {
            client,
            cluster: &self.cluster,
            manifest: &manifest,
            is_sure: self.yes,
            asks_always: true,
            wait: self.wait.then_some(self.timeout),
        };
        change.run().await
    }
}

/// The latest manifest that was live, can be read, and is not the one that is asked
/// for; if the key asks for nothing, not the one that is live.
fn before(
    history: Vec<HistoryDocument>,
    asked: Option<&Manifest>,
) -> Option<(HistoryDocument, Manifest)> {
    let readable = history.into_iter().rev().filter_map(|entry| {
        let manifest: Manifest = entry.manifest.parse().ok()?;
        Some((entry, manifest))
    });
    let live: Vec<_> = readable.collect();
    let current = asked.or_else(|| Some(&live.first()?.1)).cloned();
    live.into_iter()
        .find(|(_, manifest)| Some(manifest) != current.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manifest: &str) -> HistoryDocument {
        HistoryDocument {
            at: "then".to_owned(),
            sha256: "ab".to_owned(),
            manifest: manifest.to_owned(),
            index: 7,
            node: "a".to_owned(),
            epoch: 3,
            why: String::new(),
        }
    }

    #[test]
    fn the_latest_other_manifest_is_found() {
        let history = ["two", "one", "two"];
        let history = history.map(|name| entry(&format!("file:///{name}.wasm")));
        let of = |asked: Option<&str>| {
            let asked = asked.map(|text| text.parse().unwrap());
            let (found, _) = before(history.to_vec(), asked.as_ref()).unwrap();
            found.manifest
        };
        assert_eq!(of(Some("file:///one.wasm")), "file:///two.wasm");
        assert_eq!(of(None), "file:///one.wasm");
        let only = vec![entry("builtin:stdout")];
        let asked = "builtin:stdout".parse().unwrap();
        assert!(before(only, Some(&asked)).is_none());
        let unreadable = vec![entry("later:x")];
        assert!(before(unreadable, Some(&asked)).is_none());
    }
}
