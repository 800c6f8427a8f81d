//! `sluice plugin rollback`: asks for what was live before.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::change::Change;
use super::error::PluginCommandError;
use crate::cli::cluster::plugin_key;
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::plugin::{Manifest, history};
use sluice_consul::Client;
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
        let (before, manifest) = history::before(entries.collect(), asked.as_ref())
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
