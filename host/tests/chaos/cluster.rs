//! The cluster under test: Consul, nodes and producers, each on its host.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::gate::{Gate, Mode};
use super::lan::{Host, Lan};
use super::trace::{Traces, now};
use crate::support::{History, Process, SOON, eventually, guest, http, program, programs};

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

    fn journal(&self, producer: &str) -> std::path::PathBuf {
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

    /// The node that leads and may acknowledge, once there is one.
    pub(crate) async fn leader(&self) -> String {
        eventually("a node leads", SOON, || self.leads()).await
    }

    /// The node that leads now, if any does.
    pub(crate) async fn leader_now(&self) -> Option<String> {
        self.leads().await.ok()
    }

    async fn leads(&self) -> Result<String, String> {
        let mut roles = Vec::new();
        for name in NODES {
            match self.status(name).await {
                Ok(status) if status["role"] == "leader" => return Ok(name.to_owned()),
                Ok(status) => roles.push(format!("{name}: {}", status["role"])),
                Err(error) => roles.push(format!("{name}: {error}")),
            }
        }
        Err(roles.join(", "))
    }

    /// What a node says of itself.
    pub(crate) async fn status(&self, node: &str) -> Result<Value, String> {
        let address = self.lan.named(node).address;
        self.get(format!("http://{address}:3000/api/v1/status"))
            .await
    }

    /// The server that leads Consul, once there is one.
    pub(crate) async fn consul_leader(&self) -> String {
        eventually("Consul has a leader", SOON, || self.leads_consul()).await
    }

    /// The server that leads Consul now, if any does.
    pub(crate) async fn consul_leader_now(&self) -> Option<String> {
        self.leads_consul().await.ok()
    }

    async fn leads_consul(&self) -> Result<String, String> {
        let mut errors = Vec::new();
        for name in self.running(Kind::Server) {
            let address = self.lan.named(&name).address;
            let url = format!("http://{address}:8500/v1/status/leader");
            let leader = match self.get(url).await {
                Ok(leader) => leader,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            for server in self.servers() {
                if leader == format!("{}:8300", self.lan.named(server).address) {
                    return Ok((*server).to_owned());
                }
            }
            errors.push(format!("{name} names {leader}"));
        }
        Err(errors.join(", "))
    }

    /// Waits until Consul can be read and written by way of this host.
    pub(crate) async fn consul_answers(&self, host: &str) {
        let address = self.lan.named(host).address;
        eventually("Consul answers", 3 * SOON, || async {
            let url = format!("http://{address}:8500/v1/kv/anything");
            let read = self.http.get(format!("{url}?consistent"));
            let write = self.http.put(url).body("written");
            for request in [read, write] {
                let answer = request.timeout(PATIENCE).send().await;
                let answer = answer.map_err(|error| error.to_string())?;
                if ![200, 404].contains(&answer.status().as_u16()) {
                    return Err(answer.status().to_string());
                }
            }
            Ok(())
        })
        .await;
    }

    async fn get(&self, url: String) -> Result<Value, String> {
        let answer = self.http.get(url).timeout(PATIENCE).send().await;
        let body = answer.map_err(|error| error.to_string())?.bytes().await;
        serde_json::from_slice(&body.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    /// Waits for so many acknowledgements more than there are.
    pub(crate) async fn acknowledges(&mut self, more: usize, within: Duration) {
        let deadline = Instant::now() + within;
        self.traces.read();
        let before = self.traces.count();
        while self.traces.count() < before + more {
            let so_far = self.traces.count() - before;
            assert!(
                Instant::now() < deadline,
                "only {so_far} acknowledgements within {within:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.traces.read();
        }
    }

    /// Waits for the first acknowledgement after this time, and says how long
    /// that took.
    pub(crate) async fn acknowledges_after(&mut self, time: u64, within: Duration) -> Duration {
        loop {
            self.traces.read();
            let took = |at: u64| Duration::from_nanos(at - time);
            let waited = took(now().max(time));
            match self.traces.first_after(time).map(took) {
                Some(took) if took <= within => return took,
                None if waited <= within => {}
                late => panic!(
                    "no acknowledgement within {within:?}; the first came after {late:?}, \
                     {waited:?} have passed"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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

    /// Waits until every node is ready to serve its role.
    pub(crate) async fn all_are_ready(&self) {
        for node in NODES {
            let address = self.lan.named(node).address;
            eventually(&format!("{node} is ready"), REJOINED, || async {
                let ready = self.http.get(format!("http://{address}:3000/readyz"));
                let answer = ready.timeout(PATIENCE).send().await;
                match answer.map_err(|error| error.to_string())?.status() {
                    reqwest::StatusCode::OK => Ok(()),
                    status => Err(status.to_string()),
                }
            })
            .await;
        }
    }

    /// Fails if two nodes ever acknowledged beside each other.
    pub(crate) fn one_acknowledges(&mut self) {
        self.traces.read();
        let faults = self.traces.oracle.judge();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Fails if anything that was not killed has ended.
    pub(crate) fn nobody_exited(&self) {
        let members = self
            .members
            .iter()
            .filter_map(|member| member.process.as_ref());
        for process in members.chain(&self.producers) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let ended = waitid(WaitId::Pid(process.pid()), options).expect("look at a child");
            assert!(
                ended.is_none(),
                "{} has ended by itself: {ended:?}",
                process.name
            );
        }
    }

    /// Ends the producers and judges the run; says what it found.
    pub(crate) async fn judge(&mut self) -> String {
        self.nobody_exited();
        for producer in &mut self.producers {
            producer.terminate().await;
        }
        self.one_acknowledges();
        let history = History {
            producers: self
                .producers
                .iter()
                .map(|producer| self.acknowledged(&producer.name))
                .collect(),
            written: NODES.iter().map(|node| self.written(node)).collect(),
            dead: BTreeSet::new(),
        };
        let verdict = history.judge();
        assert!(verdict.is_clean(), "{verdict:?}");
        format!(
            "{} messages acknowledged, none lost; {} acknowledgements under {} epochs, none \
             beside another; {} repeats",
            history.producers.iter().map(BTreeSet::len).sum::<usize>(),
            self.traces.count(),
            self.traces.oracle.epochs(),
            verdict.repeats
        )
    }

    /// The numbers that a producer was told are safe.
    fn acknowledged(&self, producer: &str) -> BTreeSet<u64> {
        let text = std::fs::read_to_string(self.journal(producer)).unwrap_or_default();
        text.lines()
            .map(|line| line.parse().expect("a number"))
            .collect()
    }

    /// The numbers that a node's sink has written, over all its lives.
    fn written(&self, node: &str) -> Vec<u64> {
        let path = self.folder.path().join(format!("{node}.out"));
        let text = std::fs::read(path).expect("read an output");
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.strip_prefix("Message: ")?.parse().ok())
            .collect()
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

    fn data(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data").join(name)
    }

    fn command(&self, member: &Member) -> Command {
        let name = &member.name;
        let Some(gate) = &member.gate else {
            return self.consul_command(member);
        };
        // It prints what it gets, and takes its time for some of it, so that
        // faults meet writes that are under way.
        let sink = guest("misbehave");
        let source = format!("file://{}", sink.display());
        let manifest = json!({"source": source, "config": "dawdle 1 in 20"}).to_string();
        let acks = self
            .folder
            .path()
            .join(format!("{name}.{}.acks", member.lives));
        let mut command = member.host.command(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["node", "--listen", "0.0.0.0:3000", "--name", name])
            .arg(format!("--lease={}ms", LEASE.as_millis()))
            .arg("--data-dir")
            .arg(self.data(name))
            .arg("--trace-acks")
            .arg(acks)
            .arg("--plugin")
            .arg(manifest)
            .arg("--plugin-dir")
            .arg(sink.parent().expect("a folder"))
            .env("CONSUL_HTTP_ADDR", gate.address.to_string())
            .current_dir(self.folder.path());
        command
    }

    fn consul_command(&self, member: &Member) -> Command {
        let address = member.host.address;
        let [.., place] = address.octets();
        let mut command = member.host.command(program());
        command
            .args(["agent", "-client=0.0.0.0", "-log-level=info"])
            .arg(format!("-bind={address}"))
            .arg(format!("-node={}", member.host.name))
            // One that has lost its state is the same one still.
            .arg(format!("-node-id=00000000-0000-0000-0000-{place:012}"))
            .arg("-data-dir")
            .arg(self.data(&member.name))
            .args(["-hcl", "ports { dns = -1, grpc = -1, serf_wan = -1 }"])
            .args(["-hcl", "performance { raft_multiplier = 1 }"])
            .args(["-hcl", "disable_update_check = true"]);
        command.args(["-retry-interval", "1s"]);
        for server in self.servers() {
            let address = self.lan.named(server).address;
            command.arg(format!("-retry-join={address}"));
        }
        if member.kind == Kind::Server {
            let count = self.servers().len();
            command.args(["-server", &format!("-bootstrap-expect={count}")]);
        }
        command
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
