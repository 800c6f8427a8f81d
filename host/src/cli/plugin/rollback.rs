//! `sluice plugin rollback`: asks for what was live before.

use std::collections::HashSet;
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
use sluice_types::documents::{HistoryDocument, PluginEvent};
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

/// The latest manifest that was live, has not failed since, can be read, and is not
/// the one that is asked for; if the key asks for nothing, not the one that is live.
fn before(
    history: Vec<HistoryDocument>,
    asked: Option<&Manifest>,
) -> Option<(HistoryDocument, Manifest)> {
    let mut failed = HashSet::new();
    let mut current = asked.cloned();
    for entry in history.into_iter().rev() {
        if entry.event == PluginEvent::Failed {
            failed.insert((entry.sha256, entry.index));
            continue;
        }
        let is_failed = failed.contains(&(entry.sha256.clone(), entry.index));
        let Ok(manifest) = entry.manifest.parse::<Manifest>() else {
            continue;
        };
        let current = current.get_or_insert_with(|| manifest.clone());
        if *current != manifest && !is_failed {
            return Some((entry, manifest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: PluginEvent, manifest: &str, index: u64) -> HistoryDocument {
        HistoryDocument {
            event,
            at: "then".to_owned(),
            sha256: "ab".to_owned(),
            manifest: manifest.to_owned(),
            index,
            node: "a".to_owned(),
            epoch: 3,
            reason: String::new(),
        }
    }

    /// `index` is when it was asked for.
    fn live(name: &str, index: u64) -> HistoryDocument {
        entry(PluginEvent::Live, &format!("file:///{name}.wasm"), index)
    }

    fn failed(name: &str, index: u64) -> HistoryDocument {
        entry(PluginEvent::Failed, &format!("file:///{name}.wasm"), index)
    }

    /// The name of what was live before.
    fn found(history: &[HistoryDocument], asked: Option<&str>) -> Option<String> {
        let asked = asked.map(|name| format!("file:///{name}.wasm").parse().unwrap());
        let (found, _) = before(history.to_vec(), asked.as_ref())?;
        let name = found.manifest.strip_prefix("file:///")?;
        Some(name.strip_suffix(".wasm")?.to_owned())
    }

    #[test]
    fn the_latest_other_manifest_is_found() {
        let history = [live("two", 1), live("one", 2), live("two", 3)];
        assert_eq!(found(&history, Some("one")).as_deref(), Some("two"));
        assert_eq!(found(&history, Some("two")).as_deref(), Some("one"));
        assert_eq!(found(&history, None).as_deref(), Some("one"));
        assert_eq!(found(&[live("one", 1)], Some("one")), None);
        let unreadable = [entry(PluginEvent::Live, "later:x", 1)];
        assert_eq!(found(&unreadable, Some("one")), None);
    }

    #[test]
    fn what_has_failed_is_not_led_back_to() {
        let (one, two) = (live("one", 1), live("two", 2));
        let bad = [live("bad", 3), failed("bad", 3)];
        let history = [&[one, two.clone()], &bad[..], &[two]].concat();
        assert_eq!(found(&history, Some("bad")).as_deref(), Some("two"));
        assert_eq!(found(&history, Some("two")).as_deref(), Some("one"));
        let later = [live("one", 4), live("bad", 5), live("two", 6)];
        let mended = [&bad[..], &later[..]].concat();
        assert_eq!(found(&mended, Some("two")).as_deref(), Some("bad"));
    }
}
