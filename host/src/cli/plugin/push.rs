//! `sluice plugin push`: puts a component where every node can fetch it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::component;
use super::error::PluginCommandError;
use super::upload::Upload;
use crate::cli::failure::Failure;
use crate::plugin::{
    Blobs, Http, Manifest, OciReference, Registry, RemoteSource, Sent, Source, SourceError,
};
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_sandbox::Interfaces;
use sluice_types::keys::ClusterKeys;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin push mine.wasm --to kv
  sluice plugin push mine.wasm --to oci://registry.example.com/sinks/mine:1.0
  sluice plugin use \"$(sluice plugin push mine.wasm --to kv --quiet)\" --wait

It prints the source that nodes fetch exactly this component from, its SHA-256, and a manifest.

kv keeps up to 4 MiB in Consul, in the keys <cluster>/blobs/<sha256>/. A registry takes up to
64 MiB, as the artifact that `wkg oci push` writes, with the credentials of `docker login`; without
a tag it is latest. A registry on localhost or 127.0.0.0/8 is reached without TLS.
The exit code is 0 if all of the component was written.";

#[derive(Debug, Args)]
pub(in crate::cli) struct PushArgs {
    /// The component
    file: PathBuf,

    /// kv, or oci://REGISTRY/REPOSITORY[:TAG]
    #[arg(long, value_name = "DESTINATION")]
    to: Destination,

    /// Print only the source
    #[arg(long, short)]
    quiet: bool,

    /// The cluster's name, for kv
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

#[derive(Clone, Debug)]
enum Destination {
    Kv,
    Oci(OciReference),
}

impl FromStr for Destination {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "kv" => Ok(Self::Kv),
            _ => OciReference::destination(text).map(Self::Oci),
        }
    }
}

impl PushArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let component = component::read(&self.file)?;
        let interfaces = Interfaces::of(&component).map_err(|cause| {
            let file = self.file.clone();
            PluginCommandError::NotComponent { file, cause }
        })?;
        let (sent, total) = (Sent::default(), component.len());
        let upload = Upload::new(&sent, total);
        let (source, sha256) = match &self.to {
            Destination::Kv => {
                let client = Client::new(consul::Config::from_env()?)?;
                let blobs = Blobs::new(client, ClusterKeys::new(self.cluster.as_str()));
                let blob = upload.shown(blobs.write(&component, &sent)).await?;
                (RemoteSource::Kv(blob), None)
            }
            Destination::Oci(reference) => {
                let registry = Registry::new(Http::to_send()?);
                let pushing = registry.push(reference, &component, &interfaces, &sent);
                let pushed = upload.shown(pushing).await?;
                (RemoteSource::Oci(pushed.reference), Some(pushed.sha256))
            }
        };
        let manifest = Manifest {
            sha256,
            ..Manifest::of(Source::Remote(source))
        };
        self.print(&manifest);
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, manifest: &Manifest) {
        let source = &manifest.source;
        if self.quiet {
            println!("{source}");
            return;
        }
        let sha256 = manifest.pinned().unwrap_or_default();
        println!("source:   {source}\nsha256:   {sha256}\nmanifest: {manifest}");
    }
}
