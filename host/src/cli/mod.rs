//! The command line: one file or folder per subcommand.

mod api;
mod cluster;
mod color;
mod compile;
mod config_file;
mod confirm;
mod coordinator;
mod debug;
mod demo;
mod dlq;
mod failure;
mod health;
mod http_client;
mod journal;
mod json;
mod log;
mod node;
mod nodes;
mod overview;
mod parent;
mod plugin;
mod reachable;
mod rejects;
mod runtime;
mod secret;
mod signals;
mod status;
mod step_down;
mod stream;
mod table;
mod tail;
mod top;
mod units;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::failure::{Failure, report};
use crate::diagnostics::Setting;

/// The name of the subcommand that runs a node.
const NODE: &str = "node";

/// A highly available log sink whose last mile is a WebAssembly plugin.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: stand for election, and accept messages while leading
    #[command(after_help = node::EXAMPLES)]
    Node(Box<node::NodeArgs>),
    /// Show everything on this machine: a coordinator, nodes to kill, and a producer
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoArgs),
    /// Stand in for a Consul on this machine
    #[command(after_help = coordinator::EXAMPLES)]
    Coordinator(coordinator::CoordinatorArgs),
    /// Show the leader, and the nodes with their plugins and queues
    #[command(after_help = status::EXAMPLES)]
    Status(status::StatusArgs),
    /// Make the leader finish its work and give leadership to another node
    #[command(after_help = step_down::EXAMPLES)]
    StepDown(step_down::StepDownArgs),
    /// List the streams, and move them between the nodes
    #[command(subcommand, after_help = stream::EXAMPLES)]
    Stream(stream::StreamCommand),
    /// Ask the node on this machine whether it is alive
    #[command(after_help = health::EXAMPLES)]
    Health(health::HealthArgs),
    /// Choose the sink of all nodes, and see which one runs
    #[command(subcommand, after_help = plugin::EXAMPLES)]
    Plugin(plugin::PluginCommand),
    /// List, show, replay and purge the records that no sink accepts
    #[command(subcommand, after_help = dlq::EXAMPLES)]
    Dlq(dlq::DlqCommand),
    /// Show what clients sent lately that is no record
    #[command(after_help = rejects::EXAMPLES)]
    Rejects(rejects::RejectsArgs),
    /// Watch records as they pass, with their outcomes and latencies
    #[command(after_help = tail::EXAMPLES)]
    Tail(tail::TailArgs),
    /// Watch the cluster in a terminal: rates, nodes, records as they pass
    #[command(after_help = top::EXAMPLES)]
    Top(top::TopArgs),
    /// Collect what a bug report needs
    #[command(subcommand, after_help = debug::EXAMPLES)]
    Debug(debug::DebugCommand),
    /// Inspect what a node has on disk and still has to deliver
    #[command(subcommand, after_help = journal::EXAMPLES)]
    Journal(journal::JournalCommand),
    /// Compile a sink for a node, from stdin to stdout
    #[command(hide = true)]
    Compile(compile::CompileArgs),
}

/// Parses the arguments, runs the command, and prints what went wrong. The
/// exit code is 0 for success, 1 for a failure, 2 for a mistake on the command
/// line, and 130 if a second signal ended the process at once.
#[must_use]
pub fn run() -> ExitCode {
    // Nothing else in this process installs a provider, so this succeeds.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("sluice: another TLS provider is already installed");
    }
    let mut command = match config_file::apply(Cli::command(), std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return report(&error, 2),
    };
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    match parsed {
        Ok((cli, matches)) => {
            let settings = node_settings(&command, &matches);
            let done = dispatch(cli.command, settings);
            done.unwrap_or_else(|error| report(&*error, 1))
        }
        Err(error) => error.exit(),
    }
}

/// The settings of `sluice node`; none for another subcommand.
fn node_settings(command: &clap::Command, matches: &ArgMatches) -> Vec<Setting> {
    let node = command.find_subcommand(NODE);
    let node = node.zip(matches.subcommand_matches(NODE));
    node.map(|(command, matches)| node::settings(command, matches))
        .unwrap_or_default()
}

fn dispatch(command: Command, settings: Vec<Setting>) -> Result<ExitCode, Failure> {
    match command {
        Command::Node(args) => node::run(*args, settings),
        Command::Demo(args) => demo::run(&args),
        Command::Coordinator(args) => coordinator::run(args),
        Command::Status(args) => status::run(&args),
        Command::StepDown(args) => step_down::run(&args),
        Command::Stream(command) => stream::run(&command),
        Command::Health(args) => health::run(&args),
        Command::Plugin(command) => plugin::dispatch(&command),
        Command::Dlq(command) => dlq::run(command),
        Command::Rejects(args) => rejects::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Debug(command) => debug::run(&command),
        Command::Journal(command) => journal::run(&command),
        Command::Compile(args) => compile::run(&args),
    }
}
