//! Starts the parts of the demo, waits, and cleans up.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use tempfile::TempDir;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use super::args::DemoArgs;
use super::guide::{self, Guide};
use super::node::NodeProcess;
use super::phase::{self, Phase};
use super::ports;
use super::producer::Producer;
use super::screen::{Label, Screen, Writer};
use super::supervisor::{Outcome, Supervisor};
use crate::cli::coordinator::reached_at;
use crate::cli::failure::Failure;
use crate::cli::runtime;
use crate::cli::signals::Signals;
use crate::descriptors::coordinator_connections;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_coordinator::{Coordinator, CoordinatorConfig};
use sluice_leadership::CLEAN;
use sluice_types::files;

/// The key of the lock in the cluster with the default name.
const LEADER_KEY: &str = "sluice/leader";
/// Events that may wait for the supervisor.
const EVENT_CAPACITY: usize = 256;

#[derive(Debug, Error)]
enum DemoError {
    #[error("make a temporary folder")]
    Folder(#[source] std::io::Error),
    #[error("remove the temporary folder")]
    Remove(#[source] std::io::Error),
    #[error("start the thread that prints")]
    Screen(#[source] std::io::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("find this program, to start nodes with it")]
    Program(#[source] std::io::Error),
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
}

/// Runs the demo until its time is over or a signal ends it.
pub(in crate::cli) fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    ports::check(args)?;
    let folder = files::temporary_dir("sluice-demo-").map_err(DemoError::Folder)?;
    let (screen, writer) = Screen::start().map_err(DemoError::Screen)?;
    let outcome = run_in(&folder, args, started, screen);
    clean_up(folder, writer, outcome)
}

/// Prints what is left and removes the folder, which nothing may use any more.
fn clean_up(
    folder: TempDir,
    writer: Writer,
    outcome: Result<Outcome, Failure>,
) -> Result<ExitCode, Failure> {
    writer.finish();
    let removed = folder.close().map_err(DemoError::Remove);
    let outcome = outcome?;
    removed?;
    Ok(match outcome {
        Outcome::Complete => ExitCode::SUCCESS,
        Outcome::Incomplete => ExitCode::FAILURE,
        Outcome::Killed => ExitCode::from(130),
    })
}

fn run_in(
    folder: &TempDir,
    args: &DemoArgs,
    started: Instant,
    screen: Screen,
) -> Result<Outcome, Failure> {
    screen.take_log();
    let coordinator = Coordinator::start(&CoordinatorConfig {
        listen: args.coordinator,
        data_dir: folder.path().join("coordinator"),
        hosts: Vec::new(),
        connections: coordinator_connections(),
    })?;
    let consul = reached_at(&coordinator).to_string();
    screen.try_say(
        &Label::demo(),
        &format!("the coordinator serves on http://{consul} in place of Consul"),
    );
    // Nodes must be started from the main thread, which this is.
    let runtime = runtime::single_threaded()?;
    let outcome = runtime.block_on(async {
        let signals = Signals::listen().and_then(Signals::with_hangup);
        let signals = signals.map_err(DemoError::Signals)?;
        let (phase, _) = watch::channel(Phase::Running);
        let supervisor = start(args, started, folder.path(), &consul, &screen, &phase).await?;
        let outcome = tokio::select! {
            outcome = supervisor.run() => outcome,
            () = phase::end(&phase, signals, args.time, &screen) => Outcome::Killed,
        };
        Ok::<_, Failure>(outcome)
    });
    // Kills the nodes that are still running.
    drop(runtime);
    drop(coordinator);
    outcome
}

/// Starts the nodes and the producer.
async fn start<'a>(
    args: &DemoArgs,
    started: Instant,
    folder: &Path,
    consul: &str,
    screen: &Screen,
    phase: &'a watch::Sender<Phase>,
) -> Result<Supervisor<'a>, Failure> {
    let is_address = |name| (name == "CONSUL_HTTP_ADDR").then(|| consul.to_owned());
    let client = Client::new(consul::Config::from_variables(is_address)?)?;
    // The coordinator is new, so there was no leader before: the first one
    // does not have to wait for an earlier lease to end.
    client.create(LEADER_KEY, CLEAN, Vec::new()).await?;
    let program = std::env::current_exe().map_err(DemoError::Program)?;
    let (events_in, events) = mpsc::channel(EVENT_CAPACITY);
    let addresses = ports::nodes(args.port, args.nodes).unwrap_or_default();
    let node = |(index, address): (usize, &SocketAddr)| {
        let name = format!("n{}", index + 1);
        NodeProcess {
            data_dir: folder.join(&name),
            name,
            index,
            address: address.to_string(),
            program: program.clone(),
            consul: consul.to_owned(),
            screen: screen.clone(),
            events: events_in.clone(),
            phase: phase.subscribe(),
        }
    };
    let nodes: Vec<_> = addresses.iter().enumerate().map(node).collect();
    let producer = Producer {
        http: Producer::client().map_err(DemoError::Http)?,
        consul: client,
        leader_key: LEADER_KEY.to_owned(),
        interval: args.interval,
        run: format!("{:016x}", rand::random::<u64>()),
        screen: screen.clone(),
        events: events_in,
        phase: phase.subscribe(),
    };
    let guide = Guide {
        program: guide::program(),
        consul: consul.to_owned(),
    };
    Ok(Supervisor::start(
        guide,
        started,
        nodes,
        producer,
        events,
        screen.clone(),
        phase,
    ))
}
