//! Writes the manifest's key, after a look at what that changes.

use super::error::PluginCommandError;
use crate::cli::confirm::confirmed;
use crate::cli::failure::Failure;
use crate::plugin::{Manifest, gains};
use sluice_consul::Client;
use sluice_types::readable;

/// A manifest that is to replace the one in the key.
pub(super) struct Change<'a> {
    pub(super) client: &'a Client,
    pub(super) key: &'a str,
    pub(super) manifest: &'a Manifest,
    /// Whether to ask nothing.
    pub(super) is_sure: bool,
    /// Whether to ask in any case, and not only if the manifest may do more.
    pub(super) asks_always: bool,
}

impl Change<'_> {
    /// Writes the key unless it holds this manifest, and returns the index at which
    /// it was written; `None` if somebody at the terminal does not want it.
    ///
    /// # Errors
    /// Consul gives no usable answer, or somebody else writes the key meanwhile.
    pub(super) async fn make(&self) -> Result<Option<u64>, Failure> {
        let (client, key) = (self.client, self.key);
        let value = self.manifest.to_string();
        let before = client.read(key, None).await?.value;
        let is_there = |value_before: &[u8]| value_before == value.as_bytes();
        if before.as_ref().is_some_and(|entry| is_there(&entry.value)) {
            println!("{key} already asks for it");
        } else {
            let asked = before.as_ref().map(|entry| entry.value.as_slice());
            if !self.is_wanted(asked.unwrap_or_default())? {
                println!("{key} was not changed");
                return Ok(None);
            }
            let index = before.map_or(0, |entry| entry.modify_index);
            let value_bytes = value.clone().into();
            if !client.check_and_set(key, index, value_bytes).await? {
                return Err(PluginCommandError::Overwritten(key.to_owned()).into());
            }
            println!("wrote {key}: {}", readable::source(&value));
        }
        let written = client.read(key, None).await?.value;
        let ours = written.filter(|entry| is_there(&entry.value));
        let ours = ours.ok_or_else(|| PluginCommandError::Overwritten(key.to_owned()))?;
        Ok(Some(ours.modify_index))
    }

    /// Shows what the sink may do that the one before may not, and asks.
    fn is_wanted(&self, before: &[u8]) -> Result<bool, PluginCommandError> {
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
        let question = format!("write {}?", self.key);
        confirmed(&question).map_err(PluginCommandError::Terminal)
    }
}
