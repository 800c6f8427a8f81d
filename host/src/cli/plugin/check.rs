//! `sluice plugin check`: puts a sink to the test, without a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sluice_types::record::LogRecord;

use super::check_report::{Shown, finding, summary};
use super::component;
use super::error::PluginCommandError;
use super::records;
use super::wanted::WantedArgs;
use crate::cli::compile;
use crate::cli::failure::Failure;
use crate::cli::json;
use crate::kit::check::{self, Outcome, PLACEHOLDER, Plan};
use crate::kit::{Printed, Workbench};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin check target/wasm32-wasip2/release/mine.wasm
  sluice plugin check http.wasm --config '{\"url\":\"{destination}/logs\"}'
  sluice plugin check file.wasm --dir logs:/logs:rw --config '{\"path\":\"/logs/x.ndjson\"}'
  sluice plugin check mine.wasm --records samples.ndjson --json

It loads the component as a node does, writes batches of every kind to it, and says which
promises it breaks. {destination} in --config becomes the URL of a server on this machine that
stands in for the real one: it is slow, refuses, closes connections and hangs in turn. A relative
HOST of --dir is below a folder that is removed afterwards.
The exit code is 0 if no check failed, and 1 otherwise.";

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// The component
    file: PathBuf,

    #[command(flatten)]
    wanted: WantedArgs,

    /// Records of your own to write as well: NDJSON, as /api/v1/logs takes it
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,

    /// How many records of each kind the speed is measured with
    #[arg(long, value_name = "COUNT", default_value_t = 200_000)]
    count: usize,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let component = component::read(&self.file)?;
        let manifest = self.wanted.manifest()?;
        let plan = Plan {
            count: self.count,
            records: self.records.as_deref().map_or(Ok(Vec::new()), read)?,
        };
        let printed = Printed::start();
        let destination = check::destination()?;
        let names_it = manifest.config.contains(PLACEHOLDER);
        let origin = destination.origin().filter(|_| names_it);
        let compiler = compile::as_a_node();
        let sink = Workbench::new(&self.file, component, manifest, origin, compiler).await?;
        let shown = Shown::on_stdout();
        let tell = |found: &check::Finding| {
            if !self.json {
                print!("{}", finding(found, shown));
            }
        };
        let report = check::check(&sink, &destination, &printed, &plan, tell).await?;
        match self.json {
            true => json::print_pretty(&report)?,
            false => print!("{}", summary(&report, shown)),
        }
        Ok(match report.count(Outcome::Failed) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

/// The records of a file in NDJSON.
fn read(file: &Path) -> Result<Vec<LogRecord>, PluginCommandError> {
    let failed = |cause| PluginCommandError::Records {
        file: file.to_owned(),
        cause,
    };
    let refused = |reason: String| PluginCommandError::NotRecords {
        file: file.to_owned(),
        reason,
    };
    let size = fs::metadata(file).map_err(failed)?.len();
    if size > records::BYTES_MAX as u64 {
        let mib = records::BYTES_MAX >> 20;
        return Err(refused(format!("it has more than {mib} MiB")));
    }
    let body = fs::read(file).map_err(failed)?.into();
    let decoded = records::ndjson(&body).map_err(|error| refused(error.to_string()))?;
    match decoded.rejected.merge(Vec::new()).listed.first() {
        Some(first) => Err(refused(format!(
            "record {}: {}",
            first.index + 1,
            first.reason
        ))),
        None => Ok(decoded.records),
    }
}
