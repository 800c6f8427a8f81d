//! `sluice plugin use`: writes a manifest, and follows what the nodes do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;

use super::error::PluginCommandError;
use super::progress::Progress;
use crate::cli::cluster::plugin_key;
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::minisign::Signature;
use crate::plugin::{DirectoryWanted, LimitsWanted, Manifest, Permissions};
use sluice_consul::Client;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin use builtin:stdout --wait
  sluice plugin use file:///plugins/mine.wasm --config '{\"prefix\":\"> \"}' --wait
  sluice plugin use ./mine.wasm --sha256 \"$(sha256sum mine.wasm | cut -c-64)\"
  sluice plugin use file:///plugins/file.wasm --dir audit:/logs:rw \\
      --config '{\"path\":\"/logs/messages.ndjson\"}'

`sluice plugin push` puts a component where all nodes find it, and prints its source.
A path without file:// is made absolute on this machine; the nodes must have the file at that path.
The exit code is 0 if the manifest was written and, with --wait, every node has adopted it.";

/// How long the nodes are shown without --wait.
const BRIEF_WATCH: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(in crate::cli) struct UseArgs {
    /// A path, builtin:stdout, file:///path.wasm, https://host/path.wasm (with --sha256),
    /// oci://registry/repository:tag or kv:<sha256>
    source: String,

    /// JSON for the sink's open
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// The digest that the component must have
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,

    /// The component's signature, as `sluice plugin sign` and minisign write it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,

    /// A directory for the sink, HOST:GUEST or HOST:GUEST:rw; repeatable. A relative HOST is below
    /// each node's <data-dir>/files
    #[arg(long, value_name = "HOST:GUEST[:rw]", value_parser = directory)]
    dir: Vec<DirectoryWanted>,

    /// An environment variable for the sink; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,

    /// The most memory that the sink may use, in MiB
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u32>,

    /// The time limit of one call into the sink
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    write_timeout: Option<Duration>,

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

impl UseArgs {
    pub(super) async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let key = plugin_key(&self.cluster);
        let value = self.manifest()?.to_string();
        let index = write(client, &key, &value).await?;
        let progress = Progress {
            client,
            cluster: &self.cluster,
            index,
            must_finish: self.wait,
            timeout: if self.wait { self.timeout } else { BRIEF_WATCH },
        };
        progress.follow().await
    }

    fn manifest(&self) -> Result<Manifest, Failure> {
        let config = match &self.config {
            Some(text) => {
                let raw = RawValue::from_string(text.clone());
                raw.map_err(PluginCommandError::Config)?.get().to_owned()
            }
            None => String::new(),
        };
        let write_timeout_ms = self
            .write_timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let manifest = Manifest {
            sha256: self.sha256.clone(),
            signature: self.signature()?,
            config,
            permissions: Permissions {
                dirs: self.dir.clone(),
                env: self.env.iter().cloned().collect(),
                ..Permissions::default()
            },
            limits: LimitsWanted {
                memory_mib: self.memory_mib,
                write_timeout_ms,
                concurrency: None,
            },
            ..Manifest::of(self.source()?.parse()?)
        };
        // Checks it by the rules by which the nodes read it.
        Ok(manifest.to_string().parse()?)
    }

    fn signature(&self) -> Result<Option<Signature>, PluginCommandError> {
        let Some(file) = &self.signature else {
            return Ok(None);
        };
        let text = fs::read_to_string(file).map_err(|cause| PluginCommandError::File {
            file: file.display().to_string(),
            cause,
        })?;
        let parsed = text.parse().map(Some);
        parsed.map_err(|cause| PluginCommandError::Signature {
            file: file.clone(),
            cause,
        })
    }

    /// The source, with a path as an absolute `file://`.
    fn source(&self) -> Result<String, PluginCommandError> {
        let path = Path::new(&self.source);
        if path.is_file() {
            let path = std::path::absolute(path).map_err(|cause| PluginCommandError::File {
                file: self.source.clone(),
                cause,
            })?;
            return Ok(format!("file://{}", path.display()));
        }
        match self.source.contains(':') {
            true => Ok(self.source.clone()),
            false => Err(PluginCommandError::NoFile(self.source.clone())),
        }
    }
}

/// Writes the key unless it holds this value, and returns the index at which
/// it was written.
async fn write(client: &Client, key: &str, value: &str) -> Result<u64, Failure> {
    let before = client.read(key, None).await?.value;
    if before
        .as_ref()
        .is_some_and(|entry| entry.value == value.as_bytes())
    {
        println!("{key} already asks for it");
    } else {
        let index = before.map_or(0, |entry| entry.modify_index);
        let value_bytes = value.to_owned().into();
        if !client.check_and_set(key, index, value_bytes).await? {
            return Err(PluginCommandError::Overwritten(key.to_owned()).into());
        }
        println!("wrote {key}: {}", readable::source(value));
    }
    let written = client.read(key, None).await?.value;
    let ours = written.filter(|entry| entry.value == value.as_bytes());
    let ours = ours.ok_or_else(|| PluginCommandError::Overwritten(key.to_owned()))?;
    Ok(ours.modify_index)
}
