//! Writes the manifest's key, after a look at what that changes, and follows what the
//! nodes do.

use std::process::ExitCode;
use std::time::Duration;

use super::desk::Desk;
use super::error::PluginCommandError;
use super::progress::Progress;
use crate::cli::cluster::StreamOf;
use crate::cli::confirm::confirmed;
use crate::cli::failure::Failure;
use crate::plugin::{Manifest, gains, keep_pin};
use sluice_consul::Client;
use sluice_types::documents::ActiveDocument;
use sluice_types::readable;

/// A manifest that is to replace the one in the key.
pub(super) struct Change<'a> {
    pub(super) client: Client,
    pub(super) of: StreamOf<'a>,
    pub(super) manifest: &'a Manifest,
    /// Whether to ask nothing.
    pub(super) is_sure: bool,
    /// Whether to ask in any case, and not only if the manifest may do more.
    pub(super) asks_always: bool,
    /// How long to wait until every node has adopted it, if at all.
    pub(super) wait: Option<Duration>,
}

impl Change<'_> {
    /// Makes the change, and shows how far the nodes are.
    ///
    /// # Errors
    /// Consul gives no usable answer, or somebody else writes the key meanwhile.
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        match self.make().await? {
            Some(index) => {
                let desk = Desk::Consul(Box::new(self.client.clone()));
                let progress = Progress::new(&desk, self.of, index, self.wait);
                progress.follow().await
            }
            None => Ok(ExitCode::FAILURE),
        }
    }

    /// Writes the key unless it holds this manifest, and returns the index at which
    /// it was written; `None` if somebody at the terminal does not want it.
    async fn make(&self) -> Result<Option<u64>, Failure> {
        let client = &self.client;
        let key = &self.of.plugin_key();
        let before = client.read(key, None).await?.value;
        let asked = before.as_ref().map(|entry| entry.value.as_slice());
        let mut value = keep_pin(self.manifest, asked.unwrap_or_default());
        let wanted = value.clone();
        let is_it = |bytes: &[u8]| bytes.trim_ascii() == wanted.as_bytes();
        let asking = before.as_ref().filter(|entry| is_it(&entry.value));
        let has_failed = match asking {
            Some(entry) => self.has_failed(entry.modify_index).await?,
            None => false,
        };
        if asking.is_some() && !has_failed {
            println!("{key} already asks for it");
        } else {
            if asked == Some(value.as_bytes()) {
                // Consul ignores a value that is the same.
                value.push('\n');
            }
            if !self.is_wanted(key, asked.unwrap_or_default())? {
                println!("{key} was not changed");
                return Ok(None);
            }
            let index = before.map_or(0, |entry| entry.modify_index);
            let value_bytes = value.clone().into();
            if !client.check_and_set(key, index, value_bytes).await? {
                return Err(PluginCommandError::Overwritten(key.to_owned()).into());
            }
            println!("wrote {key}: {}", readable::source(value.trim_end()));
        }
        let written = client.read(key, None).await?.value;
        let ours = written.filter(|entry| is_it(&entry.value));
        let ours = ours.ok_or_else(|| PluginCommandError::Overwritten(key.to_owned()))?;
        Ok(Some(ours.modify_index))
    }

    /// Whether what was asked for at this index has failed, and is not tried again.
    async fn has_failed(&self, index: u64) -> Result<bool, Failure> {
        let active = self.client.read(&self.of.keys().active, None).await?.value;
        let active: Option<ActiveDocument> =
            active.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        let failed = active.and_then(|active| active.failed);
        Ok(failed.is_some_and(|failed| failed.index == index))
    }

    /// Shows what the sink may do that the one before may not, and asks.
    fn is_wanted(&self, key: &str, before: &[u8]) -> Result<bool, PluginCommandError> {
        // What cannot be read gives nothing to a sink.
        let before = Manifest::from_value(before).ok().flatten();
        let had = before
            .map(|manifest| manifest.permissions)
            .unwrap_or_default();
        let gained = gains(&self.manifest.permissions, &had);
        if !gained.is_empty() {
            println!("it may do what the sink before may not:");
            for line in &gained {
                println!("  {}", readable::source(line));
            }
        }
        if self.is_sure || gained.is_empty() && !self.asks_always {
            return Ok(true);
        }
        let question = format!("write {key}?");
        confirmed(&question).map_err(PluginCommandError::Terminal)
    }
}
