//! The command line: one file a subcommand.

mod cluster;
mod config_file;
mod coordinator;
mod demo;
mod dlq;
mod health;
mod journal;
mod log;
mod node;
mod plugin;
mod secret;
mod signals;
mod status;
mod step_down;
mod table;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use thiserror::Error;

use sluice_types::error_chain::chain;

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
    /// Show it all on this machine: a coordinator, nodes to kill, and a producer
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoArgs),
    /// Stand in for a Consul on this machine
    #[command(after_help = coordinator::EXAMPLES)]
    Coordinator(coordinator::CoordinatorArgs),
    /// Show who leads, the nodes, their plugins and queues
    #[command(after_help = status::EXAMPLES)]
    Status(status::StatusArgs),
    /// Let the leader hand over to another node, once it has finished what it took in
    #[command(after_help = step_down::EXAMPLES)]
    StepDown(step_down::StepDownArgs),
    /// Ask the node on this machine whether it is alive
    #[command(after_help = health::EXAMPLES)]
    Health(health::HealthArgs),
    /// Choose the sink of all nodes, and see which one runs
    #[command(subcommand, after_help = plugin::EXAMPLES)]
    Plugin(plugin::PluginCommand),
    /// List, show, replay and purge the records that no sink takes
    #[command(subcommand, after_help = dlq::EXAMPLES)]
    Dlq(dlq::DlqCommand),
    /// Look at what a node has on disk and still has to deliver
    #[command(subcommand, after_help = journal::EXAMPLES)]
    Journal(journal::JournalCommand),
}

/// An error with all that caused it.
type Failure = Box<dyn std::error::Error>;

/// Parses the arguments, runs the command, and says what went wrong. The exit
/// code is 0 for success, 1 for a failure, 2 for a mistake on the command
/// line, 130 for a second signal that cut the end short.
#[must_use]
pub fn run() -> ExitCode {
    // The provider of rustls; only this process decides, so it can not fail.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("sluice: another TLS provider is installed already");
    }
    let command = match config_file::apply(Cli::command(), std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return fail(&error, 2),
    };
    let cli = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let result = match cli {
        Ok(Cli {
            command: Command::Node(args),
        }) => node::run(*args),
        Ok(Cli {
            command: Command::Demo(args),
        }) => demo::run(&args),
        Ok(Cli {
            command: Command::Coordinator(args),
        }) => coordinator::run(args),
        Ok(Cli {
            command: Command::Status(args),
        }) => status::run(&args),
        Ok(Cli {
            command: Command::StepDown(args),
        }) => step_down::run(&args),
        Ok(Cli {
            command: Command::Health(args),
        }) => health::run(&args),
        Ok(Cli {
            command: Command::Plugin(command),
        }) => plugin::run(&command),
        Ok(Cli {
            command: Command::Dlq(command),
        }) => dlq::run(command),
        Ok(Cli {
            command: Command::Journal(command),
        }) => journal::run(&command),
        Err(error) => error.exit(),
    };
    match result {
        Ok(code) => code,
        Err(error) => fail(&*error, 1),
    }
}

/// Runs a command that only asks and answers.
fn on_runtime(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RuntimeError)?;
    runtime.block_on(command)
}

#[derive(Debug, Error)]
#[error("start the runtime")]
struct RuntimeError(#[source] std::io::Error);

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("sluice: failed to {}", chain(error));
    ExitCode::from(code)
}
