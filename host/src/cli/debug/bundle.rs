//! `sluice debug bundle`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::archive::Archive;
use super::collect;
use super::contents::Contents;
use super::error::DebugError;
use super::source::Source;
use crate::cli::cluster::NodesArgs;
use crate::cli::failure::Failure;
use crate::diagnostics::{Redaction, known_secrets};
use sluice_types::clock::{timestamp, unix_nanos};
use sluice_types::files;
use sluice_types::stream::DEFAULT_STREAM;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice debug bundle
  sluice debug bundle --output report.tar.gz --force
  sluice debug bundle --url https://node-a:3000 --token-file token    with the scope read

The archive has the status, the flags, the metrics, the last 15 minutes and the last log lines of
each node, the status and the 15 minutes of each stream, the manifests of the sinks with their
history, and versions. MANIFEST.txt says what each file is. Tokens, secrets, and users and passwords
in URLs are replaced by [redacted]; so are the variables and what looks like a password in the
configuration of sinks. Records are not in it, but the log may quote parts of them: look before you
pass it on.
The exit code is 0 if every node has answered. If not, the archive says which one did not.";

#[derive(Debug, Args)]
pub(in crate::cli) struct BundleArgs {
    #[command(flatten)]
    cluster: NodesArgs,

    /// Where to write the archive [default: sluice-debug-TIME.tar.gz]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl BundleArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let now = timestamp();
        let name = format!("sluice-debug-{}", compact(&now));
        let output = self.output.clone();
        let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
        if !self.force && output.exists() {
            return Err(DebugError::Exists(output).into());
        }
        let source = Source::open(&self.cluster.of(DEFAULT_STREAM)).await?;
        let mut part = source.cluster().await?;
        let token_file = self.cluster.token_file.as_deref();
        let mut secrets = known_secrets(token_file);
        secrets.extend(source.secrets());
        let archive = Archive::new(&name, unix_nanos() / 1_000_000_000);
        let mut contents = Contents::new(archive, Redaction::of(secrets));
        let added = collect::cluster(&source, &mut part.overview, &mut contents).await;
        let mut is_complete = added.map_err(DebugError::Archive)?;
        let mut answered = 0;
        for member in &part.members {
            let added = collect::node(&source, member, &mut contents).await;
            match added.map_err(DebugError::Archive)? {
                true => answered += 1,
                false => is_complete = false,
            }
        }
        let about = format!(
            "A bundle of the Sluice cluster {}, made at {now}.\n{answered} of {} nodes have \
             answered. Secrets are replaced by [redacted].\n\n",
            self.cluster.name,
            part.members.len(),
        );
        let packed = contents.end(&about).map_err(DebugError::Archive)?;
        self.write(&output, &packed)?;
        println!("{}", output.display());
        Ok(match is_complete {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn write(&self, output: &Path, packed: &[u8]) -> Result<(), DebugError> {
        let written = match self.force {
            true => files::replace(output, &[packed]),
            false => files::create_new_own(output).and_then(|mut file| file.write_all(packed)),
        };
        written.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => DebugError::Exists(output.to_owned()),
            _ => DebugError::Write {
                file: output.to_owned(),
                cause,
            },
        })
    }
}

/// A time as a part of a file's name: digits and letters only, to the second.
fn compact(time: &str) -> String {
    let whole = time.split(['.', 'Z']).next().unwrap_or_default();
    let plain = whole.chars().filter(char::is_ascii_alphanumeric);
    plain.collect::<String>() + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_a_name() {
        assert_eq!(compact("2026-11-20T09:00:01.234567Z"), "20261120T090001Z");
        assert_eq!(compact("2026-11-20T09:00:01Z"), "20261120T090001Z");
    }
}
