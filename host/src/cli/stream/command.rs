//! The subcommands of `sluice stream`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::list::{self, ListArgs};
use crate::cli::cluster::{NodesArgs, stream_name};
use crate::cli::failure::Failure;
use crate::cli::{runtime, step_down};

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice stream list                    every stream, its leader and its sink
  sluice stream move audit --to b       b leads the stream audit next
  sluice plugin use builtin:stdout --stream audit --wait    creates the stream audit

A stream begins when <cluster>/streams/<stream>/plugin is written, and ends when that key is
deleted.";

const MOVE_EXAMPLES: &str = "\
Examples:
  sluice stream move audit --to b
  sluice stream move audit --to b --url https://node-a:3000 --token-file token

It is `sluice step-down --stream <stream> --to <node>`: the leader finishes what it has, and nothing
that was acknowledged is lost. The nodes even out their load again a minute later; to keep a stream
on a node, write its name into the field pin of the stream's manifest.
The exit code is 0 once that node serves, 1 if it does not in time.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StreamCommand {
    /// List the streams with their leaders and sinks
    #[command(after_help = list::EXAMPLES)]
    List(ListArgs),
    /// Let a node lead a stream
    #[command(after_help = MOVE_EXAMPLES)]
    Move(MoveArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MoveArgs {
    /// The stream
    #[arg(value_parser = stream_name)]
    stream: String,

    /// The node that should lead it
    #[arg(long, value_name = "NODE")]
    to: String,

    #[command(flatten)]
    nodes: NodesArgs,
}

pub(in crate::cli) fn run(command: &StreamCommand) -> Result<ExitCode, Failure> {
    match command {
        StreamCommand::List(args) => runtime::block_on(args.run()),
        StreamCommand::Move(args) => step_down::run(&step_down::StepDownArgs {
            to: Some(args.to.clone()),
            cluster: args.nodes.of(&args.stream),
        }),
    }
}
