//! The one way to measure what an attack costs others.
//!
//! From before an attack until its end, and for at least [`LEAST_ASKS`] asks,
//! an innocent client and `/healthz` of every node are asked every
//! [`PAUSE`](probe::PAUSE), each on a new connection, by a thread of their own:
//! what the attack computes in the test does not hold them up. The peak of the
//! resident memory is the system's own (`VmHWM`), so that no short peak is
//! missed. The lock must have the same session, and must have been acquired as
//! often, as before.
//!
//! # What is a fault
//!
//! On a busy machine of two cores, anybody may wait a while for a core. To tell
//! that from a wait for the node, a [bare server](bare) is asked all the time
//! as well. It only answers, so a wait for it is a wait for the machine. Whatever
//! it took during a wait, up to [`EXCUSE_LIMIT`](probe), is taken off that wait
//! before it is judged:
//!
//! - No ask of an innocent client takes more than [`INNOCENT`].
//! - 99 of 100 moments are such that somebody who asks for `/healthz` then waits
//!   at most [`HEALTH`], and nobody waits three times as long. A long wait counts
//!   for all the asks that would have been made meanwhile.
//! - Every answer has the status 200.
//! - No memory, no session: these limits do not depend on the machine.
//!
//! The longest waits are printed as they were, with that for the bare server.
//! Attacks that keep all cores busy also have the machine for themselves
//! ([`alone`](super::alone)).

mod bare;
mod probe;

use std::fs;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::select_ok;
use reqwest::Method;
use rustix::process::Pid;
use serde_json::{Value, json};

use crate::support::{Cluster, Node};
use bare::BareServer;
use probe::{Limits, Probe, Prober, Waits};

/// What a node may have in memory, in MiB, beside what its queue, its journal
/// and its sink may hold. An idle node has about 60 MiB; the rest is for the
/// bodies that are decoded at the time (64 MiB, as the budget for requests), a
/// copy of a body for each of its decoders, connections, and what the allocator
/// keeps.
pub(super) const NODE_MIB: u64 = 256;
/// The default of `--queue-bytes`. A sink with a limit of 64 MiB may take this
/// instead, while nothing waits in the queue.
const QUEUE_MIB: u64 = 64;
/// What the journal has in memory: 4 MiB to deliver and 1 MiB to read, 4 MiB to
/// write and 1 MiB to scan.
const JOURNAL_MIB: u64 = 10;

/// An innocent client does not notice an attack.
const INNOCENT: Limits = Limits {
    usual: Duration::from_secs(1),
    longest: Duration::from_secs(1),
};
/// An agent whose checks are answered late takes the node for dead.
const HEALTH: Limits = Limits {
    usual: Duration::from_millis(100),
    longest: Duration::from_millis(300),
};

/// What the innocent client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Innocent {
    /// Sends messages to the leader, as they are and compressed. It answers when
    /// the sink or the journal has them.
    Sends,
    /// Asks the leader for its status, which passes neither. For sinks that
    /// attack: one sink takes the messages one by one, so those behind a hostile
    /// one wait for what the sink itself does. With `--ack journal` they do not.
    Asks,
}

/// What to measure during attacks on a cluster.
#[derive(Debug)]
pub(super) struct Measure<'a> {
    cluster: &'a Cluster,
    innocent: Innocent,
    node_mib: u64,
    health: Option<Limits>,
    more_probes: Vec<Probe>,
    more_processes: Vec<Process>,
}

impl<'a> Measure<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            innocent: Innocent::Sends,
            node_mib: NODE_MIB + QUEUE_MIB,
            health: Some(HEALTH),
            more_probes: Vec::new(),
            more_processes: Vec::new(),
        }
    }

    pub(super) fn innocent(self, innocent: Innocent) -> Self {
        Self { innocent, ..self }
    }

    /// For nodes with `--ack journal`.
    pub(super) fn with_journal(self) -> Self {
        Self {
            node_mib: self.node_mib + JOURNAL_MIB,
            ..self
        }
    }

    /// Another limit on the memory of each node.
    pub(super) fn at_most(self, node_mib: u64) -> Self {
        Self { node_mib, ..self }
    }

    /// `/healthz` is asked and its waits are printed, but not judged, and an ask
    /// that is cut off is repeated: the attack is on the health port, which
    /// keeps its places for the agent. Whether the agent was served shows in the
    /// session.
    pub(super) fn without_limit_on_health(self) -> Self {
        Self {
            health: None,
            ..self
        }
    }

    /// Also the memory of the coordinator, in MiB, and the time to renew a
    /// session there, on a connection that is kept.
    pub(super) async fn with_coordinator(mut self, most_mib: u64) -> Self {
        let consul = &self.cluster.consul;
        let body = json!({ "TTL": "10s", "NodeChecks": [] }).to_string();
        let created = consul.put("session/create", &body).await;
        let created: Value = serde_json::from_str(&created).unwrap();
        let path = format!("session/renew/{}", created["ID"].as_str().unwrap());
        self.more_probes.push(Probe {
            method: Method::PUT,
            is_kept: true,
            ..Probe::get("renewal", consul.url(&path), Some(INNOCENT))
        });
        let process = Process::new("coordinator", consul.pid(), most_mib);
        self.more_processes.push(process);
        self
    }

    /// Measures an attack, and fails if it has cost too much.
    pub(super) async fn attack<T>(&self, name: &str, attack: impl Future<Output = T>) -> T {
        let (measured, outcome) = self.measured(name, Box::pin(attack)).await;
        assert!(measured.faults.is_empty(), "{:#?}", measured.faults);
        outcome
    }

    /// Measures an attack, and prints a row of the table.
    pub(super) async fn measured<T>(
        &self,
        name: &str,
        attack: impl Future<Output = T>,
    ) -> (Measured, T) {
        let bare = BareServer::start();
        let mut probes = self.probes().await;
        probes.push(Probe::get("bare server", bare.url(), None));
        let lock = self.lock().await;
        let processes = self.processes();
        let before = processes.first().map_or(0, |node| node.before);
        let prober = Prober::start(probes);
        let outcome = attack.await;
        let waits = prober.stop().await;
        let resident: Vec<_> = processes.iter().map(Process::resident).collect();
        let mut faults = faults(name, &waits);
        faults.extend(processes.iter().filter_map(|process| process.fault(name)));
        let lock_now = self.lock().await;
        if lock_now != lock {
            faults.push(format!("{name}: the session was lost: {lock}, {lock_now}"));
        }
        println!("{}", row(name, &waits, &resident));
        let peak = processes.first().map_or(0, Process::peak);
        let measured = Measured {
            before,
            peak,
            faults,
        };
        (measured, outcome)
    }

    async fn probes(&self) -> Vec<Probe> {
        let leader = self.cluster.node(self.cluster.leader().await);
        let ask = |what, path| Probe::get(what, leader.url(path), Some(INNOCENT));
        let mut probes = match self.innocent {
            Innocent::Sends => vec![
                Probe {
                    method: Method::POST,
                    body: b"innocent".to_vec(),
                    ..ask("message", "/api/v1/log")
                },
                Probe {
                    method: Method::POST,
                    body: gzip(b"innocent"),
                    encoding: Some("gzip"),
                    ..ask("gzip", "/api/v1/log")
                },
            ],
            Innocent::Asks => vec![ask("status", "/api/v1/status")],
        };
        for node in &self.cluster.nodes {
            let url = self.health_url(node).await;
            probes.push(Probe::get("healthz", url, self.health));
        }
        probes.extend(self.more_probes.iter().cloned());
        probes
    }

    /// `/healthz` on the port that is for it alone. A node may serve the
    /// coordinator on a third one, and listeners, which do not answer at all.
    async fn health_url(&self, node: &Node) -> String {
        let for_clients = node.url("/healthz");
        let ports = node.process.ports().into_iter();
        let urls = ports.map(|port| format!("http://127.0.0.1:{port}/healthz"));
        let asks = urls.filter(|url| *url != for_clients).map(|url| {
            Box::pin(async move {
                match self.cluster.http.get(&url).send().await {
                    Ok(answer) if answer.status() == 200 => Ok(url),
                    _ => Err(()),
                }
            })
        });
        match select_ok(asks).await {
            Ok((url, _)) => url,
            Err(()) => panic!("{} serves no health port", node.name),
        }
    }

    /// The session that holds the lock, and how often it was acquired.
    async fn lock(&self) -> Value {
        let key = self.cluster.consul.key("sluice/leader").await.unwrap();
        json!([key["Session"], key["LockIndex"]])
    }

    /// Starts to look at the peaks of their memory.
    fn processes(&self) -> Vec<Process> {
        let nodes = self.cluster.nodes.iter();
        let nodes = nodes.map(|node| Process::new(&node.name, node.process.pid(), self.node_mib));
        let mut processes: Vec<_> = nodes.chain(self.more_processes.iter().cloned()).collect();
        for process in &mut processes {
            process.reset_peak();
        }
        processes
    }
}

/// What an attack has cost.
#[derive(Debug)]
#[must_use]
pub(super) struct Measured {
    /// The resident memory of the first node, in MiB.
    pub(super) before: u64,
    pub(super) peak: u64,
    /// What was beyond its limit.
    pub(super) faults: Vec<String>,
}

/// A process whose memory is limited.
#[derive(Clone, Debug)]
struct Process {
    name: String,
    pid: Pid,
    before: u64,
    most_mib: u64,
}

impl Process {
    fn new(name: &str, pid: Pid, most_mib: u64) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            before: 0,
            most_mib,
        }
    }

    /// Makes the peak what is resident now.
    fn reset_peak(&mut self) {
        let clear_refs = format!("/proc/{}/clear_refs", self.pid.as_raw_pid());
        fs::write(clear_refs, "5").unwrap();
        self.before = self.memory("VmRSS:");
    }

    fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// In MiB, by the field of the process's status.
    fn memory(&self, field: &str) -> u64 {
        let status = format!("/proc/{}/status", self.pid.as_raw_pid());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.unwrap().parse::<u64>().unwrap() / 1024
    }

    fn fault(&self, attack: &str) -> Option<String> {
        let is_fault = self.peak() > self.most_mib;
        is_fault.then(|| format!("{attack}: {}", self.resident()))
    }

    fn resident(&self) -> String {
        let (name, before, peak, most) = (&self.name, self.before, self.peak(), self.most_mib);
        format!("{name} {before:>3}, peak {peak:>3} of {most} MiB")
    }
}

/// The faults of all waits but those for the bare server, which comes last.
fn faults(attack: &str, waits: &[Waits]) -> Vec<String> {
    let (bare, waits) = waits.split_last().unwrap();
    let faults = waits.iter().filter_map(|waits| waits.fault(bare));
    faults.map(|fault| format!("{attack}: {fault}")).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn row(attack: &str, waits: &[Waits], resident: &[String]) -> String {
    let waits = waits.iter().map(|waits| {
        let longest = waits.longest().as_millis();
        format!("{} {longest:>4} ms", waits.what)
    });
    let waits: Vec<_> = waits.collect();
    let (waits, resident) = (waits.join("  "), resident.join("  "));
    format!("{attack:<48}  {waits}  {resident}")
}
