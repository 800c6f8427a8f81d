//! The cluster under test: Consul, nodes and producers on the hosts of a test
//! network, and probes.

mod commands;
mod journal;
mod judge;
mod probe;
mod questions;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use self::journal::Sizes;
use self::probe::Probe;
use super::gate::{Gate, Mode};
use super::lan::{Host, Lan};
use super::outputs::Outputs;
use super::trace::Traces;
use crate::support::{Process, START_LIMIT, eventually, http, programs};

/// The nodes, and the hosts that they run on.
pub(crate) const NODES: [&str; 3] = ["a", "b", "c"];
/// The Consul servers, and the hosts that they run on.
pub(crate) const SERVERS: [&str; 3] = ["s1", "s2", "s3"];
/// The NATS servers, and the hosts that they run on.
pub(crate) const NATS: [&str; 3] = ["n1", "n2", "n3"];
/// How long a proof of leadership is valid: `--lease`.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// The first number of each producer is a multiple of this.
const SPAN: u64 = 1_000_000_000;
const PRODUCERS: u64 = 4;
/// The host that the producers run on.
const PRODUCER: &str = "p";
/// Consul's gossip retries lost hosts every 30 s. Until then their nodes cannot
/// create a session.
const REJOINED: Duration = Duration::from_secs(45);
/// The timeout of requests to processes that may be frozen.
const PATIENCE: Duration = Duration::from_secs(1);

/// How Consul is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consul {
    /// One server, which every node talks to.
    One,
    /// Three servers, and an agent on the host of each node.
    Three,
}

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The sink has the message.
    Sink,
    /// It is in the journal on a cluster of three NATS servers.
    Replicated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    Agent,
    Nats,
    Node,
}

/// A process that may be killed and started again.
#[derive(Debug)]
struct Member {
    name: String,
    kind: Kind,
    host: Host,
    /// None while it is killed.
    process: Option<Process>,
    /// How many processes were started for it so far.
    lives: u32,
    /// How many machines were lost that had its place.
    lost: u32,
    /// The proxy between a node and Consul.
    gate: Option<Gate>,
}

/// Members are named like the hosts that they run on; the agent beside the node
/// `a` is `a-agent`.
#[derive(Debug)]
pub(crate) struct Cluster {
    consul: Consul,
    ack: Ack,
    producers: Vec<Process>,
    probes: Vec<Probe>,
    busy: Vec<Process>,
    members: Vec<Member>,
    pub(crate) traces: Traces,
    /// What the sinks write, where records have ids.
    outputs: Option<Outputs>,
    sizes: Sizes,
    lan: Lan,
    folder: TempDir,
    http: reqwest::Client,
}

impl Cluster {
    /// Starts everything, and waits until messages are acknowledged.
    pub(crate) async fn start(consul: Consul) -> Self {
        Self::start_with(consul, Ack::Sink).await
    }

    /// The same with acknowledgements of this kind.
    pub(crate) async fn start_with(consul: Consul, ack: Ack) -> Self {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir();
        let folder = folder.expect("make a folder");
        let mut cluster = Self {
            consul,
            ack,
            producers: Vec::new(),
            probes: Vec::new(),
            busy: Vec::new(),
            members: Vec::new(),
            traces: Traces::of(folder.path()),
            outputs: (ack == Ack::Replicated).then(|| Outputs::of(folder.path(), &NODES)),
            sizes: Sizes::default(),
            lan: Lan::new(),
            folder,
            http: http(),
        };
        if ack == Ack::Replicated {
            cluster.start_nats().await;
        }
        cluster.start_consul().await;
        for (name, place) in NODES.iter().zip(21..) {
            cluster.start_node(name, place).await;
        }
        eventually("a node leads", START_LIMIT, || cluster.leads()).await;
        cluster.start_producers();
        cluster.start_probes();
        cluster.acknowledges(100, START_LIMIT).await;
        cluster
    }

    async fn start_consul(&mut self) {
        let servers = self.servers().iter().zip(11..);
        let hosts: Vec<_> = servers
            .map(|(name, place)| self.lan.host(name, place))
            .collect();
        for host in hosts {
            self.add(&host.name.clone(), Kind::Server, host, None);
        }
        self.consul_answers(SERVERS[0]).await;
    }

    fn servers(&self) -> &'static [&'static str] {
        match self.consul {
            Consul::One => &SERVERS[..1],
            Consul::Three => &SERVERS,
        }
    }

    async fn start_node(&mut self, name: &str, place: u8) {
        let host = self.lan.host(name, place);
        let consul = match self.consul {
            Consul::One => SERVERS[0],
            Consul::Three => {
                self.add(&format!("{name}-agent"), Kind::Agent, host.clone(), None);
                name
            }
        };
        self.consul_answers(consul).await;
        let agent = SocketAddr::from((self.lan.named(consul).address, 8500));
        let gate = Gate::open(self.lan.own_address(), agent).await;
        self.add(name, Kind::Node, host, Some(gate));
    }

    fn add(&mut self, name: &str, kind: Kind, host: Host, gate: Option<Gate>) {
        self.members.push(Member {
            name: name.to_owned(),
            kind,
            host,
            process: None,
            lives: 0,
            lost: 0,
            gate,
        });
        self.restart(name);
    }

    /// The producers start with different nodes. Each repeats a message until
    /// it is acknowledged.
    fn start_producers(&mut self) {
        let host = self.lan.host(PRODUCER, 31);
        for place in 1..=PRODUCERS {
            let mut command = host.command(programs().join("sluice-producer"));
            let from = (place * SPAN).to_string();
            let name = format!("p{place}");
            command.args(["--interval", "10ms", "--timeout", "2s", "--from", &from]);
            for node in NODES.iter().cycle().skip(place as usize).take(NODES.len()) {
                let target = format!("http://{}:3000", self.lan.named(node).address);
                command.args(["--target", &target]);
            }
            command.arg("--journal").arg(self.journal(&name));
            let process = Process::start(&name, self.folder.path(), &mut command);
            self.producers.push(process);
        }
    }

    fn start_probes(&mut self) {
        for (node, place) in NODES.iter().zip(PRODUCERS + 1..) {
            let address = self.lan.named(node).address;
            let url = format!("http://{address}:3000/api/v1/log");
            self.probes.push(Probe::start(url, place * SPAN));
        }
    }

    fn journal(&self, producer: &str) -> PathBuf {
        self.folder.path().join(format!("{producer}.journal"))
    }

    /// Sends SIGKILL; does nothing if the member is not running.
    pub(crate) fn kill(&mut self, name: &str) {
        self.measure_node(name);
        if let Some(mut process) = self.member_mut(name).process.take() {
            process.kill();
        }
    }

    /// Sends SIGTERM, and waits until the process exits with code 0.
    pub(crate) async fn terminate(&mut self, name: &str) {
        self.measure_node(name);
        if let Some(mut process) = self.member_mut(name).process.take() {
            // A frozen process handles the signal only after it is thawed.
            process.signal(Signal::CONT);
            let status = process.terminate().await;
            assert_eq!(status.code(), Some(0), "{name} did not exit cleanly");
        }
    }

    /// Sends SIGSTOP: the process stays alive but does not run.
    pub(crate) fn freeze(&self, name: &str) {
        self.signal(name, Signal::STOP);
    }

    /// Sends SIGCONT.
    pub(crate) fn thaw(&self, name: &str) {
        self.signal(name, Signal::CONT);
    }

    fn signal(&self, name: &str, signal: Signal) {
        if let Some(process) = &self.member(name).process {
            process.signal(signal);
        }
    }

    /// Starts a killed member again; does nothing if it is running.
    pub(crate) fn restart(&mut self, name: &str) {
        if self.member(name).process.is_none() {
            self.member_mut(name).lives += 1;
            let mut command = self.command(self.member(name));
            let process = Process::start(name, self.folder.path(), &mut command);
            self.member_mut(name).process = Some(process);
        }
    }

    /// Removes the state of a killed member.
    pub(crate) fn forget(&self, name: &str) {
        assert!(self.member(name).process.is_none(), "{name} runs");
        let data = self.data(name);
        if data.exists() {
            std::fs::remove_dir_all(data).expect("remove a member's state");
        }
    }

    /// Drops all packets between the two, in both directions.
    pub(crate) fn partition(&mut self, one: &str, other: &str) {
        self.lan.cut_one_way(one, other);
        self.lan.cut_one_way(other, one);
    }

    /// Drops all packets from `from` to `to`.
    pub(crate) fn partition_one_way(&mut self, from: &str, to: &str) {
        self.lan.cut_one_way(from, to);
    }

    /// Undoes all cuts between the two.
    pub(crate) fn heal(&mut self, one: &str, other: &str) {
        self.lan.join(one, other);
    }

    /// Delays a node's calls to Consul by `delay`, half of it in each
    /// direction.
    pub(crate) fn slow(&self, node: &str, delay: Duration) {
        self.gate(node, Mode::Slow(delay));
    }

    /// Sets what happens to a node's calls to Consul.
    pub(crate) fn gate(&self, node: &str, mode: Mode) {
        let gate = self.member(node).gate.as_ref();
        gate.unwrap_or_else(|| panic!("{node} is not a node"))
            .set(mode);
    }

    /// Keeps all cores busy from now on.
    pub(crate) fn busy_cores(&mut self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..2 * cores {
            let mut command = self.lan.named(PRODUCER).command("sh");
            command.args(["-c", "while :; do :; done"]);
            let process = Process::start("busy", self.folder.path(), &mut command);
            self.busy.push(process);
        }
    }

    /// Stops what [`Self::busy_cores`] started.
    pub(crate) fn idle_cores(&mut self) {
        self.busy.clear();
    }

    fn running(&self, kind: Kind) -> Vec<String> {
        let running = |member: &&Member| member.kind == kind && member.process.is_some();
        let members = self.members.iter().filter(running);
        members.map(|member| member.name.clone()).collect()
    }

    fn member(&self, name: &str) -> &Member {
        let found = self.members.iter().find(|member| member.name == name);
        found.unwrap_or_else(|| panic!("there is no member {name}"))
    }

    fn member_mut(&mut self, name: &str) -> &mut Member {
        let found = self.members.iter_mut().find(|member| member.name == name);
        found.unwrap_or_else(|| panic!("there is no member {name}"))
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            say(&format!(
                "logs, outputs and traces are kept in {}",
                self.folder.path().display()
            ));
        }
    }
}

/// Prints to the real stderr, which the test harness does not capture.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("write to stderr");
}
