//! `sluice demo`: the whole thing on one machine.
//!
//! The coordinator and the producer are in this process, the nodes are
//! children of it. Everybody prints through [`screen`] and tells what happened
//! as an [`Event`]; [`play`] counts. How it ends is in [`phase`].

mod guide;
mod node;
mod phase;
mod play;
mod ports;
mod producer;
mod screen;
mod tally;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tempfile::TempDir;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use self::guide::Guide;
use self::node::NodeProcess;
use self::phase::Phase;
use self::play::{Ended, Play};
use self::producer::{Acknowledgement, Producer};
use self::screen::{Label, Screen, Writer};
use super::coordinator::reached_at;
use super::signals::Signals;
use super::{Failure, units};
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_coordinator::{Coordinator, CoordinatorConfig};
use sluice_leadership::CLEAN;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice demo                            three nodes on the ports 3000 to 3002, until Ctrl-C
  sluice demo --nodes 5 --interval 200ms
  sluice demo --for 30s                  ends by itself, for scripts
  sluice demo --port 4000 --coordinator 127.0.0.1:8600

It shows what to try next. Everything it keeps is in a temporary folder, which it removes.
The exit code is 0 if every message was acknowledged and stands in an output, 1 if not, 130 after a
second Ctrl-C.";

const NODES: &str = "3";
const INTERVAL: &str = "1s";
const PORT: &str = "3000";
const COORDINATOR: &str = "127.0.0.1:8500";
/// The key of the lock, in the cluster of the default name.
const LEADER_KEY: &str = "sluice/leader";
/// Things that happened and were not looked at yet.
const EVENTS: usize = 256;

#[derive(Clone, Debug, Args)]
pub(super) struct DemoArgs {
    /// How many nodes (1 to 9)
    #[arg(long, env = "SLUICE_DEMO_NODES", default_value = NODES)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,

    /// The time between messages
    #[arg(long, env = "SLUICE_DEMO_INTERVAL", default_value = INTERVAL, value_parser = units::duration)]
    interval: Duration,

    /// The port of the first node; the others have the next ones
    #[arg(long, env = "SLUICE_DEMO_PORT", default_value = PORT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Where the embedded coordinator serves Consul's HTTP API
    #[arg(long, env = "SLUICE_DEMO_COORDINATOR", value_name = "ADDR", default_value = COORDINATOR)]
    coordinator: SocketAddr,

    /// End after this time [default: at Ctrl-C]
    #[arg(long = "for", env = "SLUICE_DEMO_FOR", value_name = "DURATION", value_parser = units::duration)]
    time: Option<Duration>,
}

#[derive(Debug, Error)]
enum DemoError {
    #[error("make a temporary folder")]
    Folder(#[source] std::io::Error),
    #[error("remove the temporary folder")]
    Remove(#[source] std::io::Error),
    #[error("start the thread that prints")]
    Screen(#[source] std::io::Error),
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("find this program, to start nodes with it")]
    Program(#[source] std::io::Error),
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
}

/// What happened.
#[derive(Debug)]
enum Event {
    /// The node at this place runs as this process.
    Started(usize, u32),
    /// A sink printed this line.
    Printed(String),
    /// A message is safe.
    Acknowledged(Acknowledgement),
    /// A message is not, for good.
    Unacknowledged(u64),
    /// The producer has ended.
    LastMessage,
}

/// Runs the demo until its time is over or a signal ends it.
pub(super) fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    ports::check(args)?;
    let folder = tempfile::Builder::new()
        .prefix("sluice-demo-")
        .tempdir()
        .map_err(DemoError::Folder)?;
    let (screen, writer) = Screen::start().map_err(DemoError::Screen)?;
    let result = perform(args, started, &folder, screen);
    finish(folder, writer, result)
}

/// Lets go of what outlives the runtime. Nothing may be in use any more.
fn finish(
    folder: TempDir,
    writer: Writer,
    result: Result<Ended, Failure>,
) -> Result<ExitCode, Failure> {
    writer.finish();
    let removed = folder.close().map_err(DemoError::Remove);
    let ended = result?;
    removed?;
    Ok(match ended {
        Ended::Complete => ExitCode::SUCCESS,
        Ended::Incomplete => ExitCode::FAILURE,
        Ended::Killed => ExitCode::from(130),
    })
}

fn perform(
    args: &DemoArgs,
    started: Instant,
    folder: &TempDir,
    screen: Screen,
) -> Result<Ended, Failure> {
    screen.take_log();
    let coordinator = Coordinator::start(&CoordinatorConfig {
        listen: args.coordinator,
        data_dir: folder.path().join("coordinator"),
    })?;
    let consul = reached_at(&coordinator).to_string();
    screen.try_say(
        &Label::demo(),
        &format!("the coordinator, in place of a Consul, serves on http://{consul}"),
    );
    // Nodes are started from the thread that this runs on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::Runtime)?;
    let ended = runtime.block_on(async {
        let signals = Signals::listen().and_then(Signals::with_hangup);
        let signals = signals.map_err(DemoError::Signals)?;
        let (phase, _) = watch::channel(Phase::Play);
        let play = prepare(args, started, folder.path(), &consul, &screen, &phase).await?;
        let ended = tokio::select! {
            ended = play.run() => ended,
            () = phase::direct(&phase, signals, args.time, &screen) => Ended::Killed,
        };
        Ok::<_, Failure>(ended)
    });
    // Kills what is still there.
    drop(runtime);
    drop(coordinator);
    ended
}

/// Starts the nodes and the producer.
async fn prepare<'a>(
    args: &DemoArgs,
    started: Instant,
    folder: &Path,
    consul: &str,
    screen: &Screen,
    phase: &'a watch::Sender<Phase>,
) -> Result<Play<'a>, Failure> {
    let is_address = |name| (name == "CONSUL_HTTP_ADDR").then(|| consul.to_owned());
    let client = Client::new(consul::Config::from_variables(is_address)?)?;
    // The first winner need not wait for the lease of one before: there was
    // none, as the coordinator has only just begun.
    client.create(LEADER_KEY, CLEAN, Vec::new()).await?;
    let program = std::env::current_exe().map_err(DemoError::Program)?;
    let (events, happened) = mpsc::channel(EVENTS);
    let addresses = ports::nodes(args.port, args.nodes).unwrap_or_default();
    let node = |(place, address): (usize, &SocketAddr)| {
        let name = format!("n{}", place + 1);
        NodeProcess {
            data_dir: folder.join(&name),
            name,
            place,
            address: address.to_string(),
            program: program.clone(),
            consul: consul.to_owned(),
            screen: screen.clone(),
            events: events.clone(),
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
        events,
        phase: phase.subscribe(),
    };
    let guide = Guide {
        program: guide::program(),
        consul: consul.to_owned(),
    };
    Ok(Play::start(
        guide,
        started,
        nodes,
        producer,
        happened,
        screen.clone(),
        phase,
    ))
}
