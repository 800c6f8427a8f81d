//! What a sink is to run with: its config, what it may reach, and its limits.

use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;

use super::error::PluginCommandError;
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::plugin::{DirectoryWanted, LimitsWanted, Manifest, Permissions};
use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct WantedArgs {
    /// JSON for the sink's open
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// A directory for the sink, HOST:GUEST or HOST:GUEST:rw; repeatable. A relative HOST is below
    /// each node's <data-dir>/files
    #[arg(long, value_name = "HOST:GUEST[:rw]", value_parser = directory)]
    dir: Vec<DirectoryWanted>,

    /// An environment variable for the sink; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,

    /// An origin that it may send HTTP requests to, such as https://logs.example.com; repeatable
    #[arg(long, value_name = "ORIGIN")]
    http: Vec<Origin>,

    /// A server that it may connect to over TCP; repeatable
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Vec<Endpoint>,

    /// How many writes may run at a time, 1 to 16
    #[arg(long, value_name = "WRITES")]
    concurrency: Option<u32>,

    /// The most memory that the sink may use, in MiB
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u32>,

    /// The time limit of one call into the sink
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    write_timeout: Option<Duration>,
}

impl WantedArgs {
    /// The JSON text for the sink's `open`; empty if there is none.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn config(&self) -> Result<String, PluginCommandError> {
        let Some(text) = &self.config else {
            return Ok(String::new());
        };
        let raw = RawValue::from_string(text.clone()).map_err(PluginCommandError::Config)?;
        Ok(raw.get().to_owned())
    }

    /// A manifest of a sink that is loaded here, by the rules by which nodes read
    /// theirs. Its source says nothing.
    ///
    /// # Errors
    /// A node would refuse it.
    pub(super) fn manifest(&self) -> Result<Manifest, Failure> {
        let manifest = Manifest {
            config: self.config()?,
            permissions: self.permissions(),
            limits: self.limits(),
            ..Manifest::of("builtin:stdout".parse()?)
        };
        Ok(manifest.to_string().parse()?)
    }

    pub(super) fn permissions(&self) -> Permissions {
        Permissions {
            dirs: self.dir.clone(),
            env: self.env.iter().cloned().collect(),
            http: self.http.clone(),
            tcp: self.tcp.clone(),
            ..Permissions::default()
        }
    }

    pub(super) fn limits(&self) -> LimitsWanted {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        LimitsWanted {
            memory_mib: self.memory_mib,
            write_timeout_ms: self.write_timeout.map(milliseconds),
            concurrency: self.concurrency,
        }
    }
}

fn directory(text: &str) -> Result<DirectoryWanted, String> {
    let (rest, write) = match (text.strip_suffix(":rw"), text.strip_suffix(":ro")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => (text, false),
    };
    match rest.split_once(':') {
        Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => Ok(DirectoryWanted {
            host: host.to_owned(),
            guest: guest.to_owned(),
            write,
        }),
        _ => Err("expected HOST:/GUEST or HOST:/GUEST:rw, for example audit:/logs:rw".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
