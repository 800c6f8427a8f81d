//! `sluice plugin rollback`: asks for what was live before.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::change::Change;
use super::desk::Desk;
use super::error::PluginCommandError;
use super::progress::Progress;
use crate::cli::api::ApiClient;
use crate::cli::cluster::ClusterArgs;
use crate::cli::confirm::confirmed;
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::http::cluster::{PluginView, RollBack, RolledBack};
use crate::plugin::{Manifest, history};
use sluice_access::Scope;
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

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl RollbackArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.cluster).await?;
        match &desk {
            Desk::Consul(client) => self.by_consul(client).await,
            Desk::Node(api) => match self.by_node(api).await? {
                Some(index) => {
                    let wait = self.wait.then_some(self.timeout);
                    let progress = Progress::new(&desk, self.cluster.of_stream(), index, wait);
                    progress.follow().await
                }
                None => Ok(ExitCode::FAILURE),
            },
        }
    }

    /// Asks a node to write the key, and returns the index at which it was written;
    /// `None` if somebody at the terminal does not want it.
    async fn by_node(&self, api: &ApiClient) -> Result<Option<u64>, Failure> {
        let path = "/api/v1/plugin";
        let view: PluginView = api.get(path, &[], Scope::Read).await?;
        let nothing = || PluginCommandError::NothingBefore(self.cluster.name.clone());
        let rollback = view.rollback.ok_or_else(nothing)?;
        let line = format!("{} was live since {}", rollback.manifest, rollback.at);
        println!("{}", readable::source(&line));
        if !rollback.gains.is_empty() {
            println!("it may do what the sink before may not:");
        }
        for line in &rollback.gains {
            println!("  {}", readable::source(line));
        }
        let base = api.base();
        if !self.yes && !confirmed(&format!("roll back by the node at {base}?"))? {
            println!("nothing was changed");
            return Ok(None);
        }
        let wanted = RollBack {
            manifest: rollback.manifest,
            index: view.asked.map_or(0, |asked| asked.index),
        };
        let done: RolledBack = api.post("/api/v1/plugin/rollback", &wanted).await?;
        println!("asked for: {}", readable::source(&done.manifest));
        let view: PluginView = api.get(path, &[], Scope::Read).await?;
        let asked = view.asked.filter(|asked| asked.manifest == done.manifest);
        let key = "the key of the plugin".to_owned();
        Ok(Some(
            asked.ok_or(PluginCommandError::Overwritten(key))?.index,
        ))
    }

    async fn by_consul(&self, client: &Client) -> Result<ExitCode, Failure> {
        let keys = self.cluster.of_stream().keys();
        let asked = client.read(&keys.plugin, None).await?.value;
        let asked = asked.map(|entry| entry.value).unwrap_or_default();
        let asked = Manifest::from_value(&asked).ok().flatten();
        let history = history::read(client, &keys.history).await?;
        let entries = history.into_iter().map(|(_, entry)| entry);
        let (before, manifest) = history::before(entries.collect(), asked.as_ref())
            .ok_or_else(|| PluginCommandError::NothingBefore(self.cluster.name.clone()))?;
        let line = format!("{} was live since {}", manifest, before.at);
        println!("{}", readable::source(&line));
        let change = Change {
            client: client.clone(),
            of: self.cluster.of_stream(),
            manifest: &manifest,
            is_sure: self.yes,
            asks_always: true,
            wait: self.wait.then_some(self.timeout),
        };
        change.run().await
    }
}
