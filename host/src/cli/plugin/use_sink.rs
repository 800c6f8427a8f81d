//! `sluice plugin use`: writes a manifest, and follows what the nodes do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::change::Change;
use super::error::PluginCommandError;
use super::wanted::WantedArgs;
use crate::cli::cluster::{StreamOf, stream_name};
use crate::cli::failure::Failure;
use crate::cli::units;
use crate::minisign::Signature;
use crate::plugin::{Manifest, RolloutWanted, WaitFor};
use clap::Args;
use sluice_consul::Client;
use sluice_types::stream::DEFAULT_STREAM;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin use builtin:stdout --wait
  sluice plugin use file:///plugins/mine.wasm --config '{\"prefix\":\"> \"}' --wait
  sluice plugin use builtin:stdout --stream audit --wait    creates the stream audit
  sluice plugin use ./mine.wasm --sha256 \"$(sha256sum mine.wasm | cut -c-64)\"
  sluice plugin use file:///plugins/file.wasm --dir audit:/logs:rw \\
      --config '{\"path\":\"/logs/messages.ndjson\"}'

`sluice plugin push` puts a component where all nodes find it, and prints its source.
A path without file:// is made absolute on this machine; the nodes must have the file at that path.
The exit code is 0 if the manifest was written and, with --wait, every node has adopted it.";

#[derive(Debug, Args)]
pub(in crate::cli) struct UseArgs {
    /// A path, builtin:stdout, file:///path.wasm, https://host/path.wasm (with --sha256),
    /// oci://registry/repository:tag or kv:<sha256>
    source: String,

    #[command(flatten)]
    wanted: WantedArgs,

    /// The digest that the component must have
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,

    /// The component's signature, as `sluice plugin sign` and minisign write it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,

    /// Which nodes must have prepared it before it goes live
    #[arg(long, value_name = "WHICH", default_value = "leader", value_parser = wait_for)]
    rollout_wait: WaitFor,

    /// How long the previous sink comes back by itself if this one does worse; 0s for never
    /// [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    probation: Option<Duration>,

    /// Do not ask before it may do more than the sink before
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

    /// The stream; it begins to exist on all nodes if there is none of this name
    #[arg(long, env = "SLUICE_STREAM", default_value = DEFAULT_STREAM, value_parser = stream_name)]
    stream: String,
}

fn wait_for(text: &str) -> Result<WaitFor, String> {
    match text {
        "leader" => Ok(WaitFor::Leader),
        "all" => Ok(WaitFor::All),
        _ => Err("expected leader or all".to_owned()),
    }
}

/// A part of a second counts as a whole one: only zero turns probation off.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl UseArgs {
    pub(super) async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let change = Change {
            client: client.clone(),
            of: StreamOf {
                cluster: &self.cluster,
                stream: &self.stream,
            },
            manifest: &self.manifest()?,
            is_sure: self.yes,
            asks_always: false,
            wait: self.wait.then_some(self.timeout),
        };
        change.run().await
    }

    fn manifest(&self) -> Result<Manifest, Failure> {
        let manifest = Manifest {
            sha256: self.sha256.clone(),
            signature: self.signature()?,
            config: self.wanted.config()?,
            permissions: self.wanted.permissions(),
            limits: self.wanted.limits(),
            rollout: RolloutWanted {
                wait: self.rollout_wait,
                probation_s: self.probation.map(whole_seconds),
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
