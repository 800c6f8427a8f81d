//! The subcommands of `sluice debug`.

use std::process::ExitCode;

use clap::Subcommand;

use super::bundle::{self, BundleArgs};
use crate::cli::failure::Failure;
use crate::cli::runtime;

pub(in crate::cli) const EXAMPLES: &str = "\
Example:
  sluice debug bundle --output report.tar.gz";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DebugCommand {
    /// Write one archive with what all nodes say of themselves, for a bug report
    #[command(after_help = bundle::EXAMPLES)]
    Bundle(BundleArgs),
}

pub(in crate::cli) fn run(command: &DebugCommand) -> Result<ExitCode, Failure> {
    let DebugCommand::Bundle(args) = command;
    runtime::block_on(args.run())
}
