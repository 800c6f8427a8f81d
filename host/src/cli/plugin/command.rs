//! The subcommands of `sluice plugin`.

use std::process::ExitCode;

use clap::Subcommand;

use super::check::{self, CheckArgs};
use super::history::{self, HistoryArgs};
use super::keygen::{self, KeygenArgs};
use super::new::{self, NewArgs};
use super::push::{self, PushArgs};
use super::rollback::{self, RollbackArgs};
use super::run::{self, RunArgs};
use super::sign::{self, SignArgs};
use super::status::{self, StatusArgs};
use super::use_sink::{self, UseArgs};
use crate::cli::failure::Failure;
use crate::cli::runtime;
use sluice_consul as consul;
use sluice_consul::Client;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice plugin new my-sink --lang python
  sluice plugin use builtin:stdout --config '{\"format\":\"json\"}' --wait
  sluice plugin use file:///plugins/file.wasm --dir audit:/logs:rw \\
      --config '{\"path\":\"/logs/messages.ndjson\"}' --wait
  sluice plugin push mine.wasm --to oci://registry.example.com/sinks/mine:1.0
  sluice plugin status

`use` writes the key <cluster>/plugin, which `consul kv put` can write as well.
Anyone who can write that key can run code on every node, inside the sandbox.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PluginCommand {
    /// Make a folder with a sink that works, to start from
    #[command(after_help = new::EXAMPLES)]
    New(NewArgs),
    /// Put a sink to the test, without a cluster
    #[command(after_help = check::EXAMPLES)]
    Check(CheckArgs),
    /// Let lines of stdin pass through a sink, without a cluster
    #[command(after_help = run::EXAMPLES)]
    Run(RunArgs),
    /// Ask all nodes to run another sink
    #[command(after_help = use_sink::EXAMPLES)]
    Use(UseArgs),
    /// Put a component into Consul or a registry, for all nodes to fetch
    #[command(after_help = push::EXAMPLES)]
    Push(PushArgs),
    /// Show which sink is asked for, which one runs, and the progress of each node
    #[command(after_help = status::EXAMPLES)]
    Status(StatusArgs),
    /// Show which sinks went live, and which have failed
    #[command(after_help = history::EXAMPLES)]
    History(HistoryArgs),
    /// Ask for the sink that was live before
    #[command(after_help = rollback::EXAMPLES)]
    Rollback(RollbackArgs),
    /// Make a key that signs components
    #[command(after_help = keygen::EXAMPLES)]
    Keygen(KeygenArgs),
    /// Sign a component
    #[command(after_help = sign::EXAMPLES)]
    Sign(SignArgs),
}

pub(in crate::cli) fn dispatch(command: &PluginCommand) -> Result<ExitCode, Failure> {
    let client = || -> Result<_, Failure> { Ok(Client::new(consul::Config::from_env()?)?) };
    match command {
        PluginCommand::New(args) => args.run(),
        PluginCommand::Check(args) => runtime::block_on(args.run()),
        PluginCommand::Run(args) => runtime::block_on(args.run()),
        PluginCommand::Use(args) => runtime::block_on(async { args.run(&client()?).await }),
        PluginCommand::Push(args) => runtime::block_on(args.run()),
        PluginCommand::Status(args) => runtime::block_on(args.run()),
        PluginCommand::History(args) => runtime::block_on(args.run()),
        PluginCommand::Rollback(args) => runtime::block_on(args.run()),
        PluginCommand::Keygen(args) => args.run(),
        PluginCommand::Sign(args) => args.run(),
    }
}
