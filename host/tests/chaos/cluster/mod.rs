//! The cluster under test: Consul, nodes and producers, each on its host, and
//! probes.

mod commands;
mod judge;
mod probe;
mod questions;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use self::probe::Probe;
use super::gate::{Gate, Mode};
use super::lan::{Host, Lan};
use super::trace::Traces;
use crate::support::{Process, SOON, http, programs};

/// The nodes, and the hosts that they run on.
pub(crate) const NODES: [&str; 3] = ["a", "b", "c"];
/// The servers of Consul, and their hosts.
pub(crate) const SERVERS: [&str; 3] = ["s1", "s2", "s3"];
/// How long a proof of leadership is good for: `--lease`.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// The first number of each producer is a multiple of this.
const SPAN: u64 = 1_000_000_000;
const PRODUCERS: u64 = 4;
/// The host that they run on.
const PRODUCER: &str = "p";
/// Consul's gossip looks for hosts that it lost each 30 s. Until then their
/// nodes get no session.
const REJOINED: Duration = Duration::from_secs(45);
/// For questions to what may be frozen.
const PATIENCE: Duration = Duration::from_secs(1);

/// How Consul is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consul {
    /// One server, which every node talks to.
    One,
    /// Three servers, and an agent beside each node.
    Three,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    Agent,
    Node,
}

/// Something that runs, and may be killed and started again.
#[derive(Debug)]
struct Member {
    name: String,
    kind: Kind,
    host: Host,
    /// None while it is killed.
    process: Option<Process>,
    /// How many processes it has had.
    lives: u32,
    /// Before a node's way to Consul.
    gate: Option<Gate>,
}

/// Members are named like the hosts that they run on; the agent beside the node
/// `a` is `a-agent`.
#[derive(Debug)]
pub(crate) struct Cluster {
    consul: Consul,
    producers: Vec<Process>,
    probes: Vec<Probe>,
    busy: Vec<Process>,
    members: Vec<Member>,
    pub(crate) traces: Traces,
    lan: Lan,
    folder: TempDir,
    http: reqwest::Client,
}

impl Cluster {
    /// Everything runs, and messages are acknowledged.
    pub(crate) async fn start(consul: Consul) -> Self {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir();
        let folder = folder.expect("make a folder");
        let mut cluster = Self {
            consul,
            producers: Vec::new(),
            probes: Vec::new(),
            busy: Vec::new(),
            members: Vec::new(),
            traces: Traces::of(folder.path()),
            lan: Lan::new(),
            folder,
            http: http(),
        };
        cluster.start_consul().await;
        for (name, place) in NODES.iter().zip(21..) {
            cluster.start_node(name, place).await;
        }
        cluster.leader().await;
        cluster.start_producers();
        cluster.start_probes();
        cluster.acknowledges(100, SOON).await;
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
            gate,
        });
        self.restart(name);
    }

    /// Each tries another node first, and sends a message until it is
    /// acknowledged.
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

    /// SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) {
        if let Some(mut process) = self.member_mut(name).process.take() {
            process.kill();
        }
    }

    /// SIGTERM; waits until it has ended by itself.
    pub(crate) async fn terminate(&mut self, name: &str) {
        if let Some(mut process) = self.member_mut(name).process.take() {
            // One that is frozen hears it when it is thawed.
            process.signal(Signal::CONT);
            let status = process.terminate().await;
            assert_eq!(status.code(), Some(0), "{name} did not end well");
        }
    }

    /// SIGSTOP: it stays, but does nothing any more.
    pub(crate) fn freeze(&self, name: &str) {
        self.signal(name, Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self, name: &str) {
        self.signal(name, Signal::CONT);
    }

    fn signal(&self, name: &str, signal: Signal) {
        if let Some(process) = &self.member(name).process {
            process.signal(signal);
        }
    }

    /// Starts what was killed; does nothing if it runs.
    pub(crate) fn restart(&mut self, name: &str) {
        if self.member(name).process.is_none() {
            self.member_mut(name).lives += 1;
            let mut command = self.command(self.member(name));
            let process = Process::start(name, self.folder.path(), &mut command);
            self.member_mut(name).process = Some(process);
        }
    }

    /// Removes the state that a killed member has kept.
    pub(crate) fn forget(&self, name: &str) {
        assert!(self.member(name).process.is_none(), "{name} runs");
        let data = self.data(name);
        if data.exists() {
            std::fs::remove_dir_all(data).expect("remove a member's state");
        }
    }

    /// Nothing that the one sends reaches the other any more, and vice versa.
    pub(crate) fn partition(&mut self, one: &str, other: &str) {
        self.lan.cut_one_way(one, other);
        self.lan.cut_one_way(other, one);
    }

    /// Nothing that `from` sends reaches `to` any more.
    pub(crate) fn partition_one_way(&mut self, from: &str, to: &str) {
        self.lan.cut_one_way(from, to);
    }

    /// The two hear each other again.
    pub(crate) fn heal(&mut self, one: &str, other: &str) {
        self.lan.join(one, other);
    }

    /// A node's calls to Consul take so long, half of it on the way there.
    pub(crate) fn slow(&self, node: &str, delay: Duration) {
        self.gate(node, Mode::Slow(delay));
    }

    /// What happens to a node's calls to Consul.
    pub(crate) fn gate(&self, node: &str, mode: Mode) {
        let gate = self.member(node).gate.as_ref();
        gate.unwrap_or_else(|| panic!("{node} is no node"))
            .set(mode);
    }

    /// All cores have other work from now on.
    pub(crate) fn busy_cores(&mut self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..2 * cores {
            let mut command = self.lan.named(PRODUCER).command("sh");
            command.args(["-c", "while :; do :; done"]);
            let process = Process::start("busy", self.folder.path(), &mut command);
            self.busy.push(process);
        }
    }

    /// Ends that.
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

/// Prints past the capture of the test's output: somebody should know.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("write to stderr");
}
